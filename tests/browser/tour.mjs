// Takes the pictures of docs/tour.md and of the README, in one walk through the real program.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Browser } from "./browser.mjs";
import { Gateway } from "./gateway.mjs";
import { linkIn } from "./mails.mjs";
import { arrive, field, post, signIn, signUp, submit } from "./pages.mjs";

const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const password = "slate-Harbour_42";
const person = (name, username) => ({ name, username, email: `${username}@harbour.example`, password });
const mina = person("Mina Kim", "mina");
const root = person("Jonas Berg", "jonas");
const hash = "$2b$10$abcdefghijklmnopqrstuugYrEDIDFuxdh2Ib2XsqUcLq1hVK8KkS";
const others = [
  ["Ada Winter", "ada", "ops"],
  ["Bora Aydin", "bora", "staff"],
  ["Chiara Rossi", "chiara", "staff"],
  ["Haneul Park", "haneul", "staff"],
  ["Noor Haddad", "noor", "finance"],
  ["Tomás Silva", "tomas", "ops"],
];
const agents = [
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
];

const gateway = await Gateway.start({
  signup: { verify_email: true, approval: true, terms_version: "" },
  branding: { name: "Harbour", contact: "it@harbour.example" },
});
let browser;
try {
  browser = await Browser.start([gateway.authority]);
  await walk();
} finally {
  await browser?.stop();
  await gateway.stop();
}

async function walk() {
  for (const [name, username, group] of others) {
    const email = `${username}@harbour.example`;
    await gateway.command("user", "add", email, "--name", name, "--group", group, "--password-hash", hash);
  }
  await gateway.command("user", "disable", "bora@harbour.example", "--reason", "left in May");
  await gateway.command("user", "add", root.email, "--name", root.name, "--group", "gateway-admin", "--password-hash", hash);

  await visit({ width: 480, height: 640 }, async (page) => {
    await page.goto("/.auth/login");
    await take(page, "login");
    await page.goto("/.auth/signup");
    for (const name of ["email", "username"]) await field(page, name).fill(mina[name]);
    await page.setViewportSize({ width: 480, height: 850 });
    await take(page, "signup");
    await page.setViewportSize({ width: 480, height: 420 });
    await signUp(page, mina);
    await take(page, "signup-next");
    const mail = await gateway.mailTo(mina.email);
    await visit({ width: 640, height: 520 }, async (letter) => {
      await letter.setContent(await gateway.mailTo(mina.email, 1, "html"));
      await take(letter, "mail");
    });
    await page.goto(linkIn(mail));
    await arrive(page, () => page.locator(submit).first().click());
  });

  await visit({ width: 1080, height: 860 }, async (page) => {
    await page.goto("/.auth/login?rd=%2F.auth%2Fadmin");
    await signIn(page, root.email, password);
    await page.goto(`/.auth/admin/account?id=${mina.username}`);
    await field(page, "reason").first().fill("one of us");
    await take(page, "approve");
    await arrive(page, () => page.locator('main button[value="approve"]').click());
    await gateway.command("user", "set-groups", mina.email, "staff");
  });

  await gateway.send("POST", "/.auth/login", { login: mina.email, password: "wrong-1!" });
  for (const agent of agents) await gateway.session(mina, { "user-agent": agent });
  await visit({ width: 1080, height: 720 }, async (page) => {
    await page.goto("/");
    await signIn(page, mina.email, password);
    await take(page, "demo");
    await page.goto("/.auth/account");
    await post(page, { name: mina.name });
    await take(page, "account");
    await page.goto("/.auth/account/sessions");
    await take(page, "sessions");
    await page.goto("/.auth/account/keys");
    await post(page, { name: "Backup at night" });
    await take(page, "keys");
  });

  await visit({ width: 1080, height: 720 }, async (page) => {
    await page.goto("/.auth/login?rd=%2F.auth%2Fadmin%2Faccounts");
    await signIn(page, root.email, password);
    await take(page, "accounts");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto("/.auth/admin/audit");
    await take(page, "audit");
  });

  await visit({ width: 390, height: 780, dark: true }, async (page) => {
    await page.goto("/.auth/login");
    await take(page, "phone-login");
    await signIn(page, mina.email, password);
    await page.goto("/.auth/account");
    await page.locator("nav summary").click();
    await take(page, "phone-account");
  });
  await visit({ width: 390, height: 780, dark: true, lang: "ko" }, async (page) => {
    await page.goto("/.auth/login?rd=%2F.auth%2Faccount%2Fsessions");
    await signIn(page, mina.email, password);
    await take(page, "phone-sessions-ko");
  });
}

function visit(look, act) {
  return browser.visit({ origin: gateway.origin, height: 800, scale: 1.5, ...look }, act);
}

async function take(page, name) {
  await writeFile(path.join(folder, `${name}.png`), await page.screenshot());
}
