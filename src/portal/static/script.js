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
// Times in the reader's zone, UTC on hover. Without this they stay as they were sent, in UTC.
const { lang } = document.documentElement;
const regional = navigator.languages.find((tag) => tag.startsWith(`${lang}-`));
const local = new Intl.DateTimeFormat(regional ?? lang, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});
for (const time of document.querySelectorAll("time")) {
  time.title = time.textContent;
  time.textContent = local.format(new Date(time.dateTime));
}
