"""What stands around a facility's own words, by language: how to stop, what a button says, how to ask back."""

from __future__ import annotations

PHRASES: dict[str, dict[str, str]] = {
    "en": {
        "stop.sms": "Reply STOP to opt out.",
        "stop.email": "If you do not want these e-mails, just answer this one and say so.",
        "button": "See it and pay securely",
        "button.receipt": "See what was paid",
        "copy": "If the button does not work, copy this address into your browser:",
        "questions": "Questions? {contact}, or just answer this e-mail.",
        "questions.answer": "Questions? Just answer this e-mail.",
    },
    "es": {
        "stop.sms": "Responda STOP para darse de baja.",
        "stop.email": "Si no desea recibir estos correos, responda a este y díganoslo.",
        "button": "Ver y pagar de forma segura",
        "button.receipt": "Ver lo que se ha pagado",
        "copy": "Si el botón no funciona, copie esta dirección en su navegador:",
        "questions": "¿Tiene preguntas? {contact}, o simplemente responda a este correo.",
        "questions.answer": "¿Tiene preguntas? Simplemente responda a este correo.",
    },
}
