"use strict";
// Shows those patches of a gallery that have all chosen values, and of each the picture
// that is chosen. Without it, all patches are shown with their first picture.
for (const gallery of document.querySelectorAll(".gallery")) {
  const form = gallery.querySelector("form");
  const cards = [...gallery.querySelectorAll(".card")];
  const status = gallery.querySelector("output");
  const update = () => {
    const chosen = [...form.querySelectorAll("[data-filter]")].filter((s) => s.value);
    let shown = 0;
    for (const card of cards) {
      const values = JSON.parse(card.dataset.values);
      card.hidden = !chosen.every((s) => values[s.dataset.filter].includes(s.value));
      shown += card.hidden ? 0 : 1;
    }
    status.textContent = `${shown} of ${cards.length} patches`;
    const picture = form.querySelector("[data-picture]").value;
    for (const part of gallery.querySelectorAll(".card [data-picture]")) {
      part.hidden = part.dataset.picture !== picture;
    }
  };
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  form.hidden = false;
  update();
}
