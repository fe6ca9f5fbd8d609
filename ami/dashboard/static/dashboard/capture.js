// The page of a capture: a row of the table and its box on the picture light up together; arrow keys walk.
// Without this script the page works: links lead from rows to boxes and back.
"use strict";

(() => {
  const picture = document.getElementById("picture");
  const boxes = document.getElementById("boxes");
  const caption = document.getElementById("lit");
  const hint = caption ? caption.textContent : "";

  // Nobody told the server how large this picture is; the browser knows once it has it.
  function measure() {
    if (boxes.classList.contains("unmeasured") && picture.naturalWidth) {
      boxes.setAttribute("viewBox", `0 0 ${picture.naturalWidth} ${picture.naturalHeight}`);
      boxes.classList.remove("unmeasured");
    }
  }

  function light(key) {
    for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
    const box = key && document.getElementById(`box-${key}`);
    const row = key && document.getElementById(`row-${key}`);
    if (box) {
      box.classList.add("lit");
      row.classList.add("lit");
    }
    caption.textContent = box ? `${row.cells[0].textContent}. ${box.firstElementChild.textContent}` : hint;
  }

  // The small pictures in the table are cut out of the one on top, and are blurred where an insect is small.
  // The file itself is fetched when somebody scrolls to them, and only over a line that is not metered.
  function sharpen(table) {
    new IntersectionObserver(([seen], watch) => {
      if (!seen.isIntersecting || navigator.connection?.saveData) return;
      watch.disconnect();
      const sharp = new Image();
      sharp.addEventListener("load", () => {
        for (const crop of table.querySelectorAll(".crop image")) crop.setAttribute("href", sharp.src);
      });
      sharp.src = table.dataset.sharp;
    }).observe(table);
  }

  const keyOf = (event) => event.target.closest("[data-box]")?.dataset.box;

  const table = document.querySelector("tbody[data-sharp]");
  if (table) sharpen(table);

  if (picture && boxes) {
    measure();
    picture.addEventListener("load", measure);
    for (const place of [boxes, document.querySelector("tbody")].filter(Boolean)) {
      place.addEventListener("pointerover", (event) => light(keyOf(event)));
      place.addEventListener("pointerleave", () => light(null));
      place.addEventListener("focusin", (event) => light(keyOf(event)));
      place.addEventListener("focusout", () => light(null));
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const relation = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    const link = relation && document.querySelector(`.heading a[rel=${relation}]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
  });
})();
