for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.hide : button.dataset.show;
    button.ariaLabel = shown ? button.dataset.hideLabel : button.dataset.showLabel;
  };
  button.hidden = false;
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false));
}
// What is shown once can be copied, and kept as a file. Without this it is selected by hand.
const textOf = (id) => document.getElementById(id).textContent;
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const said = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(textOf(button.dataset.copy));
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = said), 2000);
  });
}
for (const button of document.querySelectorAll("[data-download]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const columns = button.dataset.columns.split(" ").map((column) => column.split("="));
    const lines = [columns.map(([name]) => name), columns.map(([, id]) => textOf(id))];
    const file = new Blob([lines.map((line) => `${line.join(",")}\n`).join("")], { type: "text/csv" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = button.dataset.download;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
// A box that ticks all others of the page.
for (const all of document.querySelectorAll("[data-tick]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    const boxes = all.form.querySelectorAll(`[name="${all.dataset.tick}"][type="checkbox"]`);
    for (const box of boxes) box.checked = all.checked;
  });
}
// Times in the reader's zone, UTC on hover. Without this they stay as they were sent, in UTC.
const { lang } = document.documentElement;
const regional = navigator.languages.find((tag) => tag.startsWith(`${lang}-`));
const parts = {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
};
const local = new Intl.DateTimeFormat(regional ?? lang, parts);
const precise = new Intl.DateTimeFormat(regional ?? lang, { ...parts, second: "2-digit" });
for (const time of document.querySelectorAll("time")) {
  time.title = time.textContent;
  const format = "seconds" in time.dataset ? precise : local;
  time.textContent = format.format(new Date(time.dateTime));
}
