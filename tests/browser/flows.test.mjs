// What a newcomer does, as a newcomer does it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Browser, LANGUAGES } from "./browser.mjs";
import { Gateway, newcomer } from "./gateway.mjs";
import { arrive, assertLanguage, complaint, field, post, signIn, signUp, submit, tabTo } from "./pages.mjs";

let gateway, browser, origin;

before(async () => {
  gateway = await Gateway.start();
  origin = gateway.origin;
  browser = await Browser.start([gateway.authority]);
});

after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

// Each breaks one rule and no other.
const WEAK = {
  "too short": () => "aB3!xyz",
  "no letter": () => "73915284!",
  "no digit": () => "slate-Harbour",
  "no special character": () => "slateHarbour42",
  common: () => "1qaz@wsx",
  "contains the e-mail address": ({ email }) => `${email}-2X`,
  "contains the username": ({ username }) => `Slate_7-${username}`,
};

for (const lang of LANGUAGES) {
  describe(`in ${lang}`, () => {
    for (const script of [true, false]) {
      const how = script ? "" : " without JavaScript";

      it(`a newcomer signs up, signs in, sees the application and signs out${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = newcomer();
          assert.equal(await arrive(page, () => page.goto("/some/page?a=1&b=%2F")), 200);
          assert.equal(new URL(page.url()).pathname, "/.auth/login");
          assert.equal(await page.locator("html").getAttribute("lang"), lang);

          await arrive(page, () => page.locator('main a[href*="/.auth/signup"]').click());
          assert.equal(await signUp(page, who), 200);
          assert.match(page.url(), /\/\.auth\//);
          assertLanguage(await page.locator("h1").innerText(), lang);

          const wanted = "/some/page?a=1&b=%2F&c=\\#part";
          await page.goto(wanted);
          assert.equal(await signIn(page, who.email, who.password), 200);
          assert.equal(page.url(), origin + wanted, "back where the visit began");
          const seen = await page.locator("main").innerText();
          assert.ok(seen.includes(who.email) && seen.includes(who.username), seen);
          assert.match(seen, /remote-user/i, "what an application would see");

          const cookies = await page.context().cookies();
          const session = cookies.find(({ name }) => name === "__Host-vestibule");
          assert.ok(session?.secure && session.httpOnly && session.sameSite === "Lax", JSON.stringify(cookies));

          await page.goto("/.auth/logout");
          await arrive(page, () => page.locator(submit).first().click());
          assert.equal(new URL(page.url()).pathname, "/.auth/login");
          await page.goto("/some/page");
          assert.equal(new URL(page.url()).pathname, "/.auth/login", "signed out");
        }));

      it(`who has an access key signs in with it${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = await gateway.signUp(newcomer("iam"));
          await page.goto("/.auth/login");
          await signIn(page, who.email, who.password);
          await page.goto("/.auth/account/keys");
          assert.equal(await post(page, { name: "laptop" }), 200);
          const [access_key, secret_key] = await page.locator('[role="status"] code').allInnerTexts();
          await page.goto("/.auth/logout");
          await arrive(page, () => page.locator(submit).first().click());

          await page.goto("/some/page");
          await arrive(page, () => page.locator('main a[href*="/.auth/login/iam"]').click());
          assert.equal(await post(page, { access_key, secret_key: "wrong" }), 401);
          assert.equal(await field(page, "access_key").inputValue(), access_key, "what was typed is kept");
          const sent = page.waitForRequest((request) => request.method() === "POST");
          assert.equal(await post(page, { access_key, secret_key }), 200);
          assert.equal(page.url(), `${origin}/some/page`);
          assert.ok((await page.locator("main").innerText()).includes(who.email));
          const form = new URLSearchParams((await sent).postData());
          assert.equal(form.get("secret_key"), script ? null : secret_key, "a script keeps the secret");
          assert.match(form.get("signature"), script ? /^[0-9a-f]{64}$/ : /^$/);
        }));

      it(`who was given an account and a key agrees to the terms at the first sign-in${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = newcomer("agree");
          // Of no password that anybody knows.
          const hash = `$2b$10$${"a".repeat(53)}`;
          await gateway.command("user", "add", who.email, "--username", who.username, "--password-hash", hash);
          const { access_key, secret_key } = await gateway.command("key", "create", who.email);
          await page.goto("/.auth/login/iam?rd=%2Fsome%2Fpage");
          assert.equal(await post(page, { access_key, secret_key }), 422);
          assertLanguage(await complaint(page, "agree"), lang);
          assert.equal(await field(page, "access_key").inputValue(), access_key, "what was typed is kept");
          assert.equal(await field(page, "secret_key").inputValue(), "", "but never a secret");
          assert.equal(await post(page, { secret_key, agree: true }), 200);
          assert.equal(page.url(), `${origin}/some/page`);
          assert.ok((await page.locator("main").innerText()).includes(who.email));
        }));

      it(`each weak password is refused, with the reason next to the field${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = newcomer("jisoo");
          const reasons = new Map();
          await page.goto("/.auth/signup");
          for (const [rule, password] of Object.entries(WEAK)) {
            assert.equal(await signUp(page, who, { password: password(who) }), 422, rule);
            const reason = await complaint(page, "password");
            assertLanguage(reason, lang);
            reasons.set(rule, reason);
            assert.equal(await field(page, "email").inputValue(), who.email, "what was typed is kept");
            assert.equal(await field(page, "password").inputValue(), "", "but never a password");
          }
          // The e-mail address and the username may share a sentence; no other two rules do.
          assert.ok(new Set(reasons.values()).size >= 6, JSON.stringify([...reasons]));
          assert.equal(await signUp(page, who), 200, "and the good one is taken");
        }));

      it(`a name is locked after 11 failures, and the page says for how long${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = await gateway.signUp(newcomer("lock"));
          await page.goto("/.auth/login");
          for (let failure = 1; failure <= 11; failure++) {
            assert.equal(await signIn(page, who.email, `wrong-${failure}!`), 401, `failure ${failure}`);
            const alert = await page.locator('[role="alert"]').innerText();
            assertLanguage(alert, lang);
            assert.doesNotMatch(alert, /\b20\b/);
          }
          assert.equal(await signIn(page, who.email, who.password), 429, "the right password does not help");
          const alert = await page.locator('[role="alert"]').innerText();
          assertLanguage(alert, lang);
          assert.match(alert, /(?<!\d)(19|20)(?!\d)/, "the minutes that are left");
        }));
    }

    it("everything works by keyboard alone", () =>
      browser.visit({ origin, lang }, async (page) => {
        const who = newcomer("keys");
        await page.goto("/.auth/signup");
        for (const name of ["email", "username", "password"]) {
          await tabTo(page, `[name="${name}"]`);
          await page.keyboard.type(who[name]);
        }
        await tabTo(page, "button.reveal");
        await page.keyboard.press("Space");
        assert.equal(await field(page, "password").getAttribute("type"), "text", "the password is shown");
        await tabTo(page, '[name="password_confirm"]');
        await page.keyboard.type(who.password);
        await tabTo(page, '[name="agree"]');
        await page.keyboard.press("Space");
        await tabTo(page, 'button[type="submit"]');
        assert.equal(await arrive(page, () => page.keyboard.press("Enter")), 200);

        await page.goto("/");
        await tabTo(page, '[name="login"]');
        await page.keyboard.type(who.username);
        await tabTo(page, '[name="password"]');
        await page.keyboard.type(who.password);
        assert.equal(await arrive(page, () => page.keyboard.press("Enter")), 200);
        assert.equal(page.url(), `${origin}/`);
        await tabTo(page, 'form[action="/.auth/logout"] button');
        await arrive(page, () => page.keyboard.press("Enter"));
        assert.equal(new URL(page.url()).pathname, "/.auth/login");
      }));

    it("mistakes beside the password are explained next to their fields", () =>
      browser.visit({ origin, lang }, async (page) => {
        const taken = await gateway.signUp(newcomer("taken"));
        const who = newcomer("new");
        await page.goto("/.auth/signup");
        const wrong = {
          email: "not an address",
          username: "-no",
          password_confirm: "something-Else_1",
        };
        assert.equal(await signUp(page, who, wrong), 422);
        for (const name of Object.keys(wrong)) assertLanguage(await complaint(page, name), lang);
        assert.equal(await signUp(page, who, { email: taken.email.toUpperCase() }), 422);
        assertLanguage(await complaint(page, "email"), lang);
        assert.ok((await page.locator('main a[href*="/.auth/login"]').count()) > 0, "sign-in is offered");
        assert.equal(await signUp(page, who, { username: taken.username }), 422);
        assertLanguage(await complaint(page, "username"), lang);
        assert.equal(await post(page, { email: who.email, username: "admin" }), 422, "a reserved name");
        assertLanguage(await complaint(page, "username"), lang);
      }));
  });
}

it("the language is chosen on the page, and stays chosen", () =>
  browser.visit({ origin, lang: "en" }, async (page) => {
    await page.goto("/.auth/login?rd=%2Fa");
    await arrive(page, () => page.locator('a[hreflang="ko"]').click());
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    assert.equal(new URL(page.url()).searchParams.get("rd"), "/a", "and the way back is kept");
    await page.goto("/.auth/signup");
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
  }));

it("the browser finds nothing against the policy of the pages", () =>
  browser.visit({ origin }, async (page) => {
    const complaints = [];
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("status of 4")) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    const who = await gateway.signUp(newcomer("policy"));
    for (const address of ["/.auth/login", "/.auth/signup", "/.auth/problems/locked", "/.auth/nothing"]) {
      await page.goto(address);
    }
    await page.goto("/");
    await signIn(page, who.email, who.password);
    await page.goto("/.auth/logout");
    assert.deepEqual(complaints, []);
  }));
