// What people do with their own accounts.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { WAYS } from "./browser.mjs";
import { newcomer } from "./gateway.mjs";
import { linkIn } from "./mails.mjs";
import { arrive, assertLanguage, complaint, enter, field, notice, post, signIn, submit } from "./pages.mjs";
import { Site } from "./site.mjs";

const NEW = "other-Harbour_43";

let site, mails, gateway, browser, origin;

before(async () => {
  site = await Site.start();
  ({ mails, gateway, browser, origin } = site);
});

after(() => site?.stop());

for (const { lang, script, how } of WAYS) {
  describe(how, () => {
    const visit = (act) => browser.visit({ origin, lang, script }, act);
    const join = (prefix) => gateway.signUp(newcomer(prefix), { "accept-language": lang });
    const press = (page, selector) => arrive(page, () => page.locator(`main ${selector}`).first().click());

    it("a name is given, and applications see it", () =>
      visit(async (page) => {
        const who = await join("name");
        await enter(page, who, "/.auth/account");
        assert.equal(await post(page, { name: "x".repeat(200) }), 422);
        assertLanguage(await complaint(page, "name"), lang);
        assert.equal(await post(page, { name: "Mina 김" }), 200);
        await notice(page, lang);
        assert.equal(await field(page, "name").inputValue(), "Mina 김");
        await page.goto("/");
        assert.match(await page.locator("main").innerText(), /Remote-Name\s+Mina 김/i);
      }));

    it("an account moves to another address, and the old one is told", () =>
      visit(async (page) => {
        const [who, other] = [await join("moves"), await join("stays")];
        const email = `new.${who.email}`;
        await enter(page, who, "/.auth/account/email");
        assert.equal(await post(page, { email: "nobody", current_password: who.password }), 422);
        assertLanguage(await complaint(page, "email"), lang);
        assert.equal(await post(page, { email, current_password: "wrong-1!" }), 422);
        assertLanguage(await complaint(page, "current_password"), lang);
        assert.equal(await field(page, "email").inputValue(), email, "what was typed is kept");
        assert.equal(await field(page, "current_password").inputValue(), "", "but never a password");
        assert.equal(await post(page, { email: other.email, current_password: who.password }), 200);
        const asked = await notice(page, lang);
        assertLanguage(await mails.mailTo(other.email), lang);
        // The form before this one takes the pending change back.
        await field(page, "email").fill(email);
        await field(page, "current_password").fill(who.password);
        assert.equal(await press(page, 'form:has([name="email"]) button[type="submit"]'), 200);
        assert.equal(await notice(page, lang), asked, "whether or not somebody has the address");
        await page.goto("/.auth/account");
        assert.ok((await page.locator("main dl").innerText()).includes(who.email), "nothing changes yet");

        const mail = await mails.mailTo(email);
        assertLanguage(mail, lang);
        assert.equal(await arrive(page, () => page.goto(linkIn(mail))), 200);
        assertLanguage(await page.locator("h1").innerText(), lang);
        assert.equal(await press(page, 'button[type="submit"]'), 200);
        const told = await mails.mailTo(who.email);
        assertLanguage(told, lang);
        assert.ok(told.includes(email), told);

        await visit(async (page) => {
          await page.goto("/");
          assert.equal(await signIn(page, who.email, who.password), 401, "the old address is nobody's");
          assert.equal(await signIn(page, email, who.password), 200);
          assert.ok((await page.locator("main").innerText()).includes(email));
        });
      }));

    it("a new username is given, and nobody else gets the old one", () =>
      visit(async (page) => {
        const [who, other] = [await join("renamed"), await join("taken")];
        await enter(page, who, "/.auth/account/username");
        for (const username of ["-no", "admin", other.username]) {
          assert.equal(await post(page, { username, current_password: who.password }), 422, username);
          assertLanguage(await complaint(page, "username"), lang);
        }
        const username = `${who.username}.new`;
        assert.equal(await post(page, { username, current_password: who.password }), 200);
        await notice(page, lang);
        await visit(async (page) => {
          await page.goto("/");
          assert.equal(await signIn(page, who.username, who.password), 401);
          assert.equal(await signIn(page, username, who.password), 200);
          await page.goto("/.auth/logout");
          await press(page, 'button[type="submit"]');
          await page.goto("/.auth/signup");
          const { password } = who;
          const fields = { email: newcomer().email, username: who.username, password, password_confirm: password };
          assert.equal(await post(page, { ...fields, agree: true }), 422);
          assertLanguage(await complaint(page, "username"), lang);
        });
      }));

    it("a new password ends the other sessions, and a mail tells of it", () =>
      visit(async (page) => {
        const who = await join("secret");
        await visit(async (elsewhere) => {
          await enter(elsewhere, who, "/");
          await enter(page, who, "/.auth/account/password");
          assert.equal(await post(page, { current_password: "wrong-1!", password: NEW, password_confirm: NEW }), 422);
          assertLanguage(await complaint(page, "current_password"), lang);
          assert.equal(await post(page, { current_password: who.password, password: "short", password_confirm: NEW }), 422);
          for (const name of ["password", "password_confirm"]) assertLanguage(await complaint(page, name), lang);
          await elsewhere.goto("/");
          assert.equal(elsewhere.url(), `${origin}/`, "nothing changed");
          assert.equal(await post(page, { current_password: who.password, password: NEW, password_confirm: NEW }), 200);
          await notice(page, lang);
          await elsewhere.goto("/");
          assert.equal(new URL(elsewhere.url()).pathname, "/.auth/login");
          assert.equal(await signIn(elsewhere, who.email, who.password), 401);
          assert.equal(await signIn(elsewhere, who.email, NEW), 200);
        });
        await page.goto("/");
        assert.equal(page.url(), `${origin}/`, "the session that did it goes on");
        assertLanguage(await mails.mailTo(who.email), lang);
      }));

    it("sessions elsewhere are ended, one and then all", () =>
      visit(async (page) => {
        const who = await join("sessions");
        for (const agent of ["curl/8.14.1", "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Firefox/140.0"]) {
          await gateway.session(who, { "user-agent": agent });
        }
        await visit(async (elsewhere) => {
          await enter(elsewhere, who, "/");
          await enter(page, who, "/.auth/account/sessions");
          const rows = page.locator("main ul.rows > li");
          assert.equal(await rows.count(), 4);
          assertLanguage(await rows.first().locator(".badge").innerText(), lang);
          assert.ok((await rows.first().innerText()).includes("127.0.0.1"));
          assert.equal(await press(page, "li:has(h2:text('curl')) button"), 200);
          await notice(page, lang);
          assert.equal(await rows.count(), 3);
          await elsewhere.goto("/");
          assert.equal(elsewhere.url(), `${origin}/`, "it goes on");
          assert.equal(await press(page, 'form:has([name="which"]) button'), 200);
          await notice(page, lang);
          assert.equal(await rows.count(), 1);
          await elsewhere.goto("/");
          assert.equal(new URL(elsewhere.url()).pathname, "/.auth/login");
        });
      }));

    it("an access key is made, shut off, let in again and revoked", () =>
      visit(async (page) => {
        const who = await join("keys");
        await enter(page, who, "/.auth/account/keys");
        assert.equal(await post(page, { name: "laptop" }), 200);
        assertLanguage((await notice(page, lang)).split("\n")[0], lang);
        const [access_key, secret_key] = await page.locator('[role="status"] code').allInnerTexts();
        const authorization = `Basic ${btoa(`${access_key}:${secret_key}`)}`;
        const works = async () => (await gateway.send("GET", "/", undefined, { authorization })).status;
        assert.equal(await works(), 200);
        for (const [change, status] of [["disable", 401], ["enable", 200], ["revoke", 401]]) {
          assert.equal(await press(page, `button[value="${change}"]`), 200, change);
          await notice(page, lang);
          assert.equal(await works(), status, change);
        }
        assert.ok(!(await page.content()).includes(access_key));
      }));

    it("who signed in with a key is asked for the password before a change", () =>
      visit(async (page) => {
        const who = await join("proof");
        const { access_key, secret_key } = await gateway.command("key", "create", who.email);
        await page.goto("/.auth/login/iam?rd=%2F.auth%2Faccount%2Fkeys");
        assert.equal(await post(page, { access_key, secret_key }), 200);
        await field(page, "name").fill("a second one");
        assert.equal(await press(page, "form button.primary"), 422);
        assertLanguage(await page.locator("h1").innerText(), lang);
        assert.equal(await post(page, { current_password: "wrong-1!" }), 422);
        assertLanguage(await complaint(page, "current_password"), lang);
        assert.equal(await post(page, { current_password: who.password }), 200);
        assert.ok((await page.locator("main").innerText()).includes("a second one"), "what was asked for is done");
      }));

    it("what happened to the account is there to read, failures too", () =>
      visit(async (page) => {
        const who = await join("reads");
        await page.goto("/.auth/login");
        assert.equal(await signIn(page, who.email, "wrong-1!"), 401);
        await enter(page, who, "/.auth/account/activity");
        const rows = await page.locator("main ul.rows > li").allInnerTexts();
        assert.equal(rows.length, 2, "failed, signed in");
        for (const row of rows) assertLanguage(row, lang);
        assert.equal(await page.locator("main .badge.bad").count(), 1);
      }));

    it("another language is chosen, for pages and mails", () =>
      visit(async (page) => {
        const other = lang === "en" ? "ko" : "en";
        const who = await join("speaks");
        await enter(page, who, "/.auth/account/language");
        await page.locator(`#language-${other}`).check();
        assert.equal(await press(page, 'button[type="submit"]'), 200);
        await notice(page, other);
        await page.goto("/.auth/account/password");
        assert.equal(await page.locator("html").getAttribute("lang"), other);
        await post(page, { current_password: who.password, password: NEW, password_confirm: NEW });
        assertLanguage(await mails.mailTo(who.email), other);
      }));

    it("an account is deleted by its owner alone, for good", () =>
      visit(async (page) => {
        const who = await join("goes");
        await enter(page, who, "/.auth/account/delete");
        assert.equal(await post(page, { current_password: "wrong-1!" }), 422);
        assertLanguage(await complaint(page, "current_password"), lang);
        assert.equal(await post(page, { current_password: who.password }), 200);
        assertLanguage(await page.locator("h1").innerText(), lang);
        await page.goto("/");
        assert.equal(await signIn(page, who.email, who.password), 401);
      }));

    it("new terms are agreed to at the next sign-in", () =>
      visit(async (page) => {
        const who = await join("agrees");
        const version = `new-${how.replaceAll(" ", "-")}`;
        const file = path.join(gateway.folder, "vestibule.toml");
        const text = await readFile(file, "utf8");
        await writeFile(file, text.replace(/terms_version = ".*"/, `terms_version = "${version}"`));
        await gateway.command("reload");
        await page.goto("/.auth/login?rd=%2F.auth%2Faccount");
        assert.equal(await signIn(page, who.email, who.password), 422);
        assertLanguage(await complaint(page, "agree"), lang);
        assert.equal(await post(page, { password: who.password, agree: true }), 200);
        assert.ok((await page.locator("main dl").innerText()).includes(version), "and the page says to what");
        await page.goto("/.auth/logout");
        await arrive(page, () => page.locator(submit).first().click());
        await enter(page, who, "/");
      }));
  });
}
