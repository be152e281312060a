// What somebody does with the links in their mails, as they do it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { violations } from "./axe.mjs";
import { LANGUAGES } from "./browser.mjs";
import { newcomer } from "./gateway.mjs";
import { linkIn } from "./mails.mjs";
import { arrive, assertLanguage, complaint, notice, post, signIn, signUp, submit } from "./pages.mjs";
import { Site } from "./site.mjs";

const NEW = "other-Harbour_43";

let site, mails, gateway, browser, origin;

before(async () => {
  site = await Site.start({ signup: { verify_email: true } });
  ({ mails, gateway, browser, origin } = site);
});

after(() => site?.stop());

async function mailedLink(address, count, page, lang) {
  const mail = await mails.mailTo(address, count);
  assertLanguage(mail, lang);
  const link = linkIn(mail);
  assert.ok(link.startsWith(`${origin}/.auth/${page}?token=`), link);
  return link;
}

async function assertGood(page, lang) {
  assertLanguage(await page.locator("h1").innerText(), lang);
  assert.deepEqual(await violations(page), []);
}

for (const lang of LANGUAGES) {
  describe(`in ${lang}`, () => {
    for (const script of [true, false]) {
      const how = script ? "" : " without JavaScript";

      it(`a newcomer proves the address and is let in${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = newcomer();
          await page.goto("/.auth/signup");
          assert.equal(await signUp(page, who), 200);
          if (script) await assertGood(page, lang);

          await page.goto("/");
          assert.equal(await signIn(page, who.email, who.password), 401);
          if (script) await assertGood(page, lang);
          const again = page.locator('form[action="/.auth/verify"] button');
          assert.equal(await arrive(page, () => again.click()), 200, "the link is sent again");

          const link = await mailedLink(who.email, 2, "verify", lang);
          assert.equal(await arrive(page, () => page.goto(link)), 200);
          if (script) await assertGood(page, lang);
          assert.equal(await arrive(page, () => page.locator(submit).first().click()), 200);

          await arrive(page, () => page.locator('main a[href="/.auth/login"]').click());
          assert.equal(await signIn(page, who.email, who.password), 200);
          assert.equal(page.url(), `${origin}/`);
        }));

      it(`a forgotten password is set anew${how}`, () =>
        browser.visit({ origin, lang, script }, async (page) => {
          const who = newcomer("forgot");
          await gateway.signUp(who);
          await mails.mailTo(who.email);
          await page.goto("/.auth/login");
          await arrive(page, () => page.locator('main a[href="/.auth/forgot"]').click());
          assert.equal(await post(page, { email: who.email }), 200);

          // The account was made by a program, which said no language.
          const link = await mailedLink(who.email, 2, "reset", "en");
          assert.equal(await arrive(page, () => page.goto(link)), 200);
          if (script) await assertGood(page, lang);
          assert.equal(await post(page, { password: "short", password_confirm: "other" }), 422);
          for (const name of ["password", "password_confirm"]) {
            assertLanguage(await complaint(page, name), lang);
          }
          if (script) await assertGood(page, lang);
          assert.equal(await post(page, { password: NEW, password_confirm: NEW }), 200);
          assert.equal(new URL(page.url()).pathname, "/.auth/login");
          await notice(page, lang);
          if (script) await assertGood(page, lang);
          await page.reload();
          assert.equal(await page.locator('main [role="status"]').count(), 0, "it is said once");
          // Nobody knows who had made the account before the address was proven, and agreed to the terms.
          assert.equal(await signIn(page, who.email, NEW), 422);
          assertLanguage(await complaint(page, "agree"), lang);
          assert.equal(await post(page, { password: NEW, agree: true }), 200, "and the link has proven the address");

          assert.equal(await arrive(page, () => page.goto(link)), 400, "the link is spent");
          await arrive(page, () => page.locator('main a[href="/.auth/forgot"]').click());
        }));
    }
  });
}
