// Signs the challenge, so that the secret stays in the browser. Without this the form sends the secret itself, and so it
// does once the challenge is too old.
const form = document.querySelector("[data-sign]");
const { access_key: accessKey, secret_key: secretKey, challenge, signature } = form.elements;
const tooOld = 110_000;
const bytes = (text) => new TextEncoder().encode(text);
const sign = async () => {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(secretKey.value), hmac, false, ["sign"]);
  const text = ["vestibule-login", accessKey.value, challenge.value, location.host].join("\n");
  const code = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
  return Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join("");
};
form.addEventListener("submit", async (event) => {
  accessKey.value = accessKey.value.trim();
  secretKey.value = secretKey.value.trim();
  if (!crypto.subtle || !accessKey.value || !secretKey.value || performance.now() > tooOld) return;
  event.preventDefault();
  signature.value = await sign();
  secretKey.disabled = true;
  form.submit();
});
// A page that is shown again, by going back, begins anew.
addEventListener("pageshow", () => {
  signature.value = "";
  secretKey.disabled = false;
});
