// Show only the reports that match module, period, level and words; without it all of them are shown.
document.documentElement.classList.add("js");
addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form");
  const cards = [...document.querySelectorAll(".report")];
  const none = document.querySelector(".none");
  const apply = () => {
    const { module, period, level, words } = Object.fromEntries(new FormData(form));
    const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const text = card.textContent.toLowerCase();
      const runs = [...card.querySelectorAll(".runs li")];
      runs.forEach((run) => (run.hidden = period !== "" && run.dataset.p !== period && run.textContent !== period));
      const fits =
        (!module || card.dataset.module === module) &&
        (!period || runs.some((run) => !run.hidden)) &&
        (!level || card.dataset.levels.split(" ").includes(level)) &&
        wanted.every((word) => text.includes(word));
      card.hidden = !fits;
      shown += fits;
      const fold = card.querySelector("details");
      if (fold && period) fold.open = true;
    }
    for (const group of document.querySelectorAll(".group")) group.hidden = ![...group.querySelectorAll(".report")].some((card) => !card.hidden);
    none.classList.toggle("on", !shown);
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
});
