"""What payers say: STOP, a mail that bounced, who they are, not me, I cannot afford this."""
