// What administrators do, and what it means for those who wait.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Browser, LANGUAGES } from "./browser.mjs";
import { Gateway, newcomer } from "./gateway.mjs";
import { arrive, assertLanguage, field, signIn, signUp } from "./pages.mjs";

let gateway, browser, administrator;

before(async () => {
  gateway = await Gateway.start({ signup: { approval: true } });
  browser = await Browser.start(gateway.authority);
  administrator = await gateway.administrator();
});

after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

const press = (page, action) =>
  arrive(page, () => page.locator(`main button[name="action"][value="${action}"]`).click());

async function enter(page) {
  await page.goto("/.auth/login?rd=%2F.auth%2Fadmin");
  assert.equal(await signIn(page, administrator.email, administrator.password), 200);
  assert.equal(new URL(page.url()).pathname, "/.auth/admin");
}

async function open(page, who) {
  await page.goto("/.auth/admin/accounts");
  await field(page, "q").fill(who.username);
  await arrive(page, () => page.locator("main form button").first().click());
  assert.equal(await arrive(page, () => page.locator(`main a:text-is("${who.email}")`).click()), 200);
}

for (const lang of LANGUAGES) {
  describe(`in ${lang}`, () => {
    for (const script of [true, false]) {
      const how = script ? "" : " without JavaScript";

      it(`somebody waits, is approved, disabled and enabled again${how}`, async () => {
        const who = newcomer("waits");
        const tries = () =>
          browser.visit({ origin: gateway.origin, lang, script }, async (page) => {
            await page.goto("/");
            const status = await signIn(page, who.username, who.password);
            const alert = page.locator('[role="alert"]');
            if (status !== 200) assertLanguage(await alert.innerText(), lang);
            return status;
          });
        await browser.visit({ origin: gateway.origin, lang, script }, async (page) => {
          await page.goto("/.auth/signup");
          assert.equal(await signUp(page, who), 200);
          assertLanguage(await page.locator("main .lead").innerText(), lang);
        });
        assert.equal(await tries(), 401, "waits");

        await browser.visit({ origin: gateway.origin, lang, script }, async (page) => {
          await enter(page);
          await arrive(page, () => page.locator('main a[href*="standing=awaiting-approval"]').click());
          assert.ok((await page.locator("main").innerText()).includes(who.email), "among those who wait");
          await open(page, who);
          await field(page, "reason").first().fill("one of us");
          assert.equal(await press(page, "approve"), 200);
          const said = await page.locator('[role="status"]').innerText();
          assertLanguage(said, lang);
          assert.ok((await page.locator("main").innerText()).includes("one of us"), "the reason is shown");
          assert.equal(await tries(), 200, "approved");

          await press(page, "disable");
          assert.equal(await tries(), 401, "disabled");
          await press(page, "enable");
          assert.equal(await tries(), 200, "enabled");

          await arrive(page, () => page.locator('main a[href*="/.auth/admin/audit?account="]').click());
          const log = await page.locator("main").innerText();
          assertLanguage(log, lang);
          assert.ok(log.includes("one of us") && log.includes(administrator.email), log);
        });
      });
    }

    it("an invitation is made, and its link is shown once", () =>
      browser.visit({ origin: gateway.origin, lang }, async (page) => {
        await enter(page);
        await arrive(page, () => page.locator('nav a[href="/.auth/admin/invitations"]').click());
        await field(page, "email").fill(newcomer("guest").email);
        await arrive(page, () => page.locator("main form button.primary").click());
        const link = await page.locator('[role="status"] code').innerText();
        assert.match(link, /\/\.auth\/signup\?invitation=/);
        await page.goto("/.auth/admin/invitations");
        assert.equal(await page.locator('[role="status"] code').count(), 0);
      }));
  });
}
