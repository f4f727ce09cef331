// Pages keep themselves fresh: every part marked data-live is fetched again and replaced when it has changed.
// Without JavaScript the pages refresh by <meta>.
"use strict";

const live = () => [...document.querySelectorAll("[data-live]")];

const busy = (part) =>
  part.contains(document.activeElement) && document.activeElement.tagName === "INPUT" ||
  [...part.querySelectorAll("input:not([type=hidden])")].some((input) => input.value !== "");

async function refresh() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of live()) {
      const fresh = next.getElementById(part.id);
      if (!fresh || fresh.innerHTML === part.dataset.seen || busy(part)) continue;
      const known = new Set([...part.querySelectorAll("[data-key]")].map((row) => row.dataset.key));
      const html = fresh.innerHTML;
      part.replaceChildren(...fresh.childNodes);
      part.dataset.seen = html;
      for (const row of part.querySelectorAll("[data-key]"))
        if (!known.has(row.dataset.key)) row.classList.add("fresh");
      for (const screen of part.querySelectorAll(".screen")) screen.scrollTop = screen.scrollHeight;
    }
  } catch {
    // the sandbox has ended or starts again: the next round tells
  }
}

for (const part of live()) part.dataset.seen = part.innerHTML;
if (live().length) setInterval(refresh, 1000);
for (const screen of document.querySelectorAll(".screen")) screen.scrollTop = screen.scrollHeight;

// A tap on a test card fills the form of the hosted page.
for (const button of document.querySelectorAll("[data-card]"))
  button.addEventListener("click", () => {
    document.getElementById("card_number").value = button.dataset.card.replace(/(.{4})(?=.)/g, "$1 ");
    document.getElementById("expiry").value = "12 / 34";
    document.getElementById("cvc").value = "123";
  });

// A mail is as high as what it says. (`load` does not bubble, but it can be caught on its way down.)
const fit = (frame) => {
  const root = frame.contentDocument?.documentElement;
  frame.style.height = "0";
  if (root) frame.style.height = `${root.scrollHeight}px`;
};
const frames = () => document.querySelectorAll(".mail iframe");
document.addEventListener("load", (event) => event.target.matches?.(".mail iframe") && fit(event.target), true);
addEventListener("resize", () => frames().forEach(fit));
frames().forEach(fit);
