"""What people answer to a text, in their own words, and what it is taken for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.answering.replies import Kind, answer, understand

STOP = """
STOP|stop|Stop.|STOP!!!|  stop  |stopall|stop all|unsubscribe|Cancel|END|quit|REVOKE|optout|opt out|Opt-out|opting out
opt me out please|stop please|please stop texting me|Stop sending me messages|no more|no more texts
No more messages please|remove me|remove me from your list
take me off your list|take my number off|leave me alone|don't text me|don’t text me
do not text me again|do not contact me|Please don't send me any more texts|I don't want these messages
I do not want to receive texts|i want to opt out|STOOOOP|s t o p|stpo|🛑|unsubscribe me|Stop it now|Stop, thank you
can you stop texting|delete my number|hi please stop|yes stop|ok stop
ALTO|Parar|pare|BASTA|ya basta|cancelar|no mas|no más|¡No más mensajes!|No mas mensajes por favor|no me escriban
no me manden mensajes|no quiero recibir mas mensajes|dejen de enviar mensajes|dejen de enviarme mensajes|darme de baja
baja|desuscribir|deténganse por favor|borrenme de la lista|eliminar|fin|salir|cancelen por favor
"""
PERHAPS = """
I will stop by tomorrow|don't stop|Please don't stop|cancel my appointment|I already cancelled this|stop the payment
Why should I stop?|wrong number|This is the wrong number, I am not your patient|you have the wrong person|I will sue you
Can I stop paying the plan|remove the late fee|quit calling my mother|stop by text or I report you|no more money left
numero equivocado|no mas dinero
"""
START = """
START|start|unstop|YES|Si|sí|yes please|start again please|subscribe|opt in|resume texts|reanudar|comenzar
"""
HELP = "HELP|help|info|Help please|ayuda|AYUDA por favor|información"
QUESTION = """
I'll pay at the end of the month|What is this for?|ok|thanks|yes I paid already|who are you|para mi hijo?|👍|
How much do I owe|¿Cuánto debo?|quiero pagar por partes|can you call me|I paid at the desk|help my mother with the bill
My insurance should pay this|para cuando es?|el fin de semana pago|Is this in addition to the other bill
"""
REACTION = """
Liked “Lakeside: you have a balance to pay. Reply STOP to opt out.”|Loved "Lakeside: Reply STOP"
Removed a like from “Reply STOP”|Reacted 👎 to “Reply STOP”
"""


def _each(kind: Kind, texts: str) -> list[tuple[Kind, str]]:
    return [(kind, text) for line in texts.strip("\n").split("\n") for text in line.split("|")]


ALL = [
    *_each(Kind.STOP, STOP), *_each(Kind.STOP_PERHAPS, PERHAPS), *_each(Kind.START, START), *_each(Kind.HELP, HELP),
    *_each(Kind.QUESTION, QUESTION), *_each(Kind.REACTION, REACTION),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_an_answer_is_taken_for_what_it_means(kind, text):
    assert understand(text).kind is kind


def test_the_table_is_long_enough_to_mean_something():
    assert len({text for _, text in ALL}) >= 130


def test_spanish_words_tell_in_which_language_to_answer():
    assert [understand(text).language for text in ("no más", "AYUDA", "sí")] == ["es", "es", "es"]
    assert [understand(text).language for text in ("STOP", "HELP")] == ["", ""]


@given(st.sampled_from(["stop", "unsubscribe", "opt out", "no mas", "remove me"]), st.text(max_size=40))
def test_a_word_of_stopping_is_never_passed_over_whatever_stands_beside_it(word, other):
    found = understand(f"{word} {other}").kind
    assert found in (Kind.STOP, Kind.STOP_PERHAPS) or understand(other + " x").kind is Kind.REACTION


@given(st.text(max_size=300))
def test_any_text_is_taken_for_something(text):
    assert understand(text).kind in Kind


def test_what_is_answered_names_the_practice_and_nobody_else():
    said = answer(Kind.STOP, "Lakeside", "(608) 555-0100", "en")
    assert said == "Lakeside: you will get no more text messages from us. Reply START to get them again."
    assert "(608) 555-0100" in answer(Kind.HELP, "Lakeside", "(608) 555-0100", "es")
    assert answer(Kind.HELP, "Lakeside", "", "fr").startswith("Lakeside: text messages about your bills. Reply")
    assert answer(Kind.QUESTION, "Lakeside", "", "en") == answer(Kind.REACTION, "Lakeside", "", "en") == ""
