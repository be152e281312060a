// What people meet who are refused, and what is shown them once.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { Browser, LANGUAGES, WAYS } from "./browser.mjs";
import { Gateway, newcomer } from "./gateway.mjs";
import { arrive, assertLanguage, enter, post, signIn } from "./pages.mjs";

let gateway, browser, origin, administrator, member;

before(async () => {
  gateway = await Gateway.start();
  origin = gateway.origin;
  browser = await Browser.start([gateway.authority]);
  administrator = await gateway.administrator();
  member = await gateway.signUp(newcomer("member"));
});

after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

const signOut = 'form[action="/.auth/logout"] button:not([name])';
const signInAsAnother = 'form[action="/.auth/logout"] button[name="rd"]';

for (const { lang, script, how } of WAYS) {
  describe(how, () => {
    it("who may not see a page is told as whom they are signed in, and signs in as someone else", () =>
      browser.visit({ origin, lang, script }, async (page) => {
        await page.goto("/.auth/login");
        await signIn(page, member.email, member.password);
        const wanted = "/.auth/admin?a=1&b=%2F";
        assert.equal(await arrive(page, () => page.goto(wanted)), 403);
        const text = await page.locator("main").innerText();
        assert.ok(text.includes(member.email), text);
        assertLanguage(await page.locator(signInAsAnother).innerText(), lang);
        assert.equal(await arrive(page, () => page.locator(signInAsAnother).click()), 200);
        assert.equal(new URL(page.url()).pathname, "/.auth/login");
        assert.equal(await signIn(page, administrator.email, administrator.password), 200);
        assert.equal(page.url(), origin + wanted, "where the refusal was");
      }));

    it("or signs out", () =>
      browser.visit({ origin, lang, script }, async (page) => {
        await page.goto("/.auth/login");
        await signIn(page, member.email, member.password);
        assert.equal(await arrive(page, () => page.goto("/.auth/admin")), 403);
        assert.equal(await arrive(page, () => page.locator(signOut).click()), 200);
        assert.equal(page.url(), `${origin}/.auth/login`);
        const cookies = await page.context().cookies();
        assert.ok(!cookies.some(({ name }) => name === "__Host-vestibule"), JSON.stringify(cookies));
      }));

    it("the link of a refusal leads to its meaning, and from there to all", () =>
      browser.visit({ origin, lang, script }, async (page) => {
        assert.equal(await arrive(page, () => page.goto("/.auth/nothing")), 404);
        assert.ok(!(await page.locator("main").innerText()).includes(member.email));
        const link = page.locator(".trace a");
        assertLanguage(await link.innerText(), lang);
        assert.equal(await arrive(page, () => link.click()), 200);
        assert.equal(new URL(page.url()).pathname, "/.auth/problems/not-found");
        assert.equal(await arrive(page, () => page.locator('main a[href="/.auth/problems/"]').click()), 200);
        const all = page.locator('main li a[href^="/.auth/problems/"]');
        assert.ok((await all.count()) > 25);
        assert.equal(await arrive(page, () => all.last().click()), 200);
      }));
  });
}

for (const lang of LANGUAGES) {
  describe(`in ${lang}`, () => {
    it("a new access key is copied, and kept as a file", () =>
      browser.visit({ origin, lang }, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        const who = await gateway.signUp(newcomer("keys"));
        await enter(page, who, "/.auth/account/keys");
        assert.equal(await post(page, { name: "laptop" }), 200);
        const [accessKey, secretKey] = await page.locator('[role="status"] code').allInnerTexts();
        const copy = page.locator('[data-copy="made-secret-key"]');
        const said = await copy.innerText();
        assertLanguage(said, lang);
        await copy.click();
        await page.waitForFunction((before) => document.querySelector('[data-copy="made-secret-key"]').innerText !== before, said);
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secretKey);
        const [download] = await Promise.all([page.waitForEvent("download"), page.locator("[data-download]").click()]);
        assert.equal(download.suggestedFilename(), `${accessKey}.csv`);
        const kept = await readFile(await download.path(), "utf8");
        assert.equal(kept, `access_key,secret_key\n${accessKey},${secretKey}\n`);
      }));

    it("links that are shown once are copied", () =>
      browser.visit({ origin, lang }, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await enter(page, administrator, "/.auth/admin/invitations");
        assert.equal(await post(page, {}), 200);
        const link = await page.locator('[role="status"] code').first().innerText();
        await page.locator('[data-copy="link-1"]').click();
        await page.waitForFunction((wanted) => navigator.clipboard.readText().then((text) => text === wanted), link);
      }));

    it("without JavaScript there is no button that does nothing", () =>
      browser.visit({ origin, lang, script: false }, async (page) => {
        const who = await gateway.signUp(newcomer("keys"));
        await enter(page, who, "/.auth/account/keys");
        assert.equal(await post(page, {}), 200);
        assert.equal(await page.locator("[data-copy], [data-download]").count(), 3);
        for (const button of await page.locator("[data-copy], [data-download]").all()) assert.ok(await button.isHidden());
        assert.equal((await page.locator('[role="status"] code').allInnerTexts()).length, 2);
      }));

    it("the first field has the focus, unless something is to be read first", () =>
      browser.visit({ origin, lang }, async (page) => {
        // A browser gives `autofocus` the focus when it renders, which may be after `load`, and before this callback.
        const focused = () =>
          page.evaluate(async () => {
            await new Promise(requestAnimationFrame);
            return document.activeElement.id || document.activeElement.getAttribute("role");
          });
        for (const [address, first] of [
          ["/.auth/login", "login"],
          ["/.auth/login/iam", "access_key"],
          ["/.auth/signup", "email"],
          ["/.auth/forgot", "email"],
        ]) {
          await page.goto(address);
          assert.equal(await focused(), first, address);
        }
        await page.goto("/.auth/login");
        await signIn(page, "nobody@example.com", "wrong-1!");
        assert.equal(await focused(), "alert");
      }));

    it("what the link to access keys is for is said beside it", () =>
      browser.visit({ origin, lang }, async (page) => {
        await page.goto("/.auth/login");
        const link = page.locator('main a[href^="/.auth/login/iam"]');
        const hint = await page.locator(`#${await link.getAttribute("aria-describedby")}`).innerText();
        assertLanguage(hint, lang);
        await arrive(page, () => link.click());
        assert.equal(hint, await page.locator("h1").innerText());
      }));
  });
}
