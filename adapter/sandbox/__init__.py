"""The other side of the wire: a card provider, an SMS service and a clinic, small and stateful, for trying things out.

It runs as a process of its own (`python -m chartpost.adapter.sandbox`), keeps everything in memory, binds and
calls only loopback addresses, and never imports the product: with shared code, a mistake would prove itself right.
"""
