// From an administrator's invitation to a colleague who is signed in.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { WAYS } from "./browser.mjs";
import { newcomer } from "./gateway.mjs";
import { linkIn } from "./mails.mjs";
import { arrive, assertLanguage, complaint, enter, field, notice, post, signIn, signUp, submit, tabTo } from "./pages.mjs";
import { Site } from "./site.mjs";

const PAGE = "/.auth/admin/invitations";

let site, mails, gateway, browser, origin, administrator;

before(async () => {
  site = await Site.start({ signup: { mode: "invite", verify_email: true } });
  ({ mails, gateway, browser, origin } = site);
  administrator = newcomer("root");
  const link = await gateway.invite("--group", "gateway-admin");
  const invitation = new URL(link).searchParams.get("invitation");
  await gateway.signUp({ ...administrator, invitation });
  await browser.visit({ origin }, async (page) => {
    await page.goto(linkIn(await mails.mailTo(administrator.email)));
    assert.equal(await arrive(page, () => page.locator(submit).first().click()), 200);
  });
});

after(() => site?.stop());

for (const { lang, script, how } of WAYS) {
  describe(how, () => {
    const visit = (act) => browser.visit({ origin, lang, script }, act);
    const press = (page, selector) => arrive(page, () => page.locator(`main ${selector}`).first().click());
    const shown = (page) => page.locator('main [role="status"] code').allInnerTexts();

    // Signs up with the link, proves the address with the `count`th mail and signs in. The form of an invitation that
    // is bound to an address has it already.
    const join = async (page, link, who, { bound, count } = {}) => {
      assert.equal(await arrive(page, () => page.goto(link)), 200);
      if (bound) {
        assert.equal(await field(page, "email").inputValue(), who.email);
        assert.equal(await field(page, "email").getAttribute("readonly"), "");
      } else await field(page, "email").fill(who.email);
      const { email, password, username } = who;
      assert.equal(await post(page, { username, password, password_confirm: password, agree: true }), 200);
      assertLanguage(await page.locator("h1").innerText(), lang);
      const mail = await mails.mailTo(email, count);
      assertLanguage(mail, lang);
      await page.goto(linkIn(mail));
      assert.equal(await press(page, 'button[type="submit"]'), 200);
      await page.goto("/");
      assert.equal(await signIn(page, email, password), 200);
    };

    it("a colleague is invited to an address, with groups", () =>
      visit(async (page) => {
        const who = newcomer("bound");
        await enter(page, administrator, PAGE);
        assert.equal(await post(page, { email: "nobody" }), 422);
        assertLanguage(await complaint(page, "email"), lang);
        assert.equal(await post(page, { email: who.email, groups: "operators, staff" }), 200);
        await notice(page, lang);
        const [link] = await shown(page);
        assert.ok((await page.locator("main ul.rows").innerText()).includes(who.email), "it is among the open ones");

        await visit(async (guest) => {
          await join(guest, link, who, { bound: true });
          assert.equal(await arrive(guest, () => guest.goto("/operators")), 200, "in the group already");
        });

        await visit(async (late) => {
          await late.goto(link);
          assert.equal(await signUp(late, newcomer("late")), 422, "it is spent");
          assertLanguage(await complaint(late, "invitation"), lang);
        });
        await page.goto(PAGE);
        assert.ok(!(await page.locator("main").innerText()).includes(who.email));
      }));

    it("two open invitations for a team: each serves one, whoever it is", () =>
      visit(async (page) => {
        await enter(page, administrator, PAGE);
        assert.equal(await post(page, { count: "2" }), 200);
        const links = await shown(page);
        assert.equal(new Set(links).size, 2);
        for (const link of links) await visit((guest) => join(guest, link, newcomer("open")));
      }));

    it("a page that is loaded again makes no more, and a row sends one again", () =>
      visit(async (page) => {
        const who = newcomer("again");
        await enter(page, administrator, PAGE);
        assert.equal(await post(page, { email: who.email, send: true }), 200);
        await notice(page, lang);
        await mails.mailTo(who.email);
        assert.equal(await arrive(page, () => page.reload()), 200);
        assert.equal(await post(page, { email: who.email, send: true }), 200);
        await notice(page, lang);
        await field(page, "q").fill(who.email);
        assert.equal(await arrive(page, () => field(page, "q").press("Enter")), 200);
        assert.equal(await page.locator("main ul.rows > li").count(), 1);
        const send = page.locator('main ul.rows button[value="send"]');
        await tabTo(page, 'main ul.rows button[value="send"]');
        assert.equal(await arrive(page, () => page.keyboard.press("Enter")), 200);
        await notice(page, lang);
        await mails.mailTo(who.email, 2);
        assert.equal(await send.count(), 1, "it took the place of the first");

        const made = await page.locator("main ul.rows > li").count();
        await page.goto(PAGE);
        const before = await page.locator("main ul.rows > li").count();
        assert.ok(before >= made);
        assert.equal(await post(page, { count: "2" }), 200);
        assert.equal((await shown(page)).length, 2);
        assert.equal(await arrive(page, () => page.reload()), 200);
        assert.deepEqual(await shown(page), [], "once");
        assert.equal(await page.locator("main ul.rows > li").count(), before + 2);
      }));

    it("one that was revoked lets nobody in", () =>
      visit(async (page) => {
        await enter(page, administrator, PAGE);
        const before = await page.locator("main ul.rows > li").count();
        assert.equal(await post(page, { email: newcomer("revoked").email }), 200);
        const [link] = await shown(page);
        const own = page.locator("main ul.rows > li").last();
        assert.equal(await arrive(page, () => own.locator('button[value="revoke"]').click()), 200);
        await notice(page, lang);
        assert.equal(await page.locator("main ul.rows > li").count(), before);
        await visit(async (guest) => {
          await guest.goto(link);
          assert.equal(await signUp(guest, newcomer("guest")), 422);
          assertLanguage(await complaint(guest, "invitation"), lang);
        });
      }));

    const opened = async (who) => {
      const mail = await mails.mailTo(who.email);
      assertLanguage(mail, lang);
      await visit((guest) => join(guest, linkIn(mail), who, { bound: true, count: 2 }));
    };

    it("one that a command mails is opened from the mail", async () => {
      const who = newcomer("mailed");
      await gateway.command("invite", "create", "--email", who.email, "--send", "--lang", lang);
      await opened(who);
    });

    it("one that is mailed from the page is opened from the mail", () =>
      visit(async (page) => {
        const who = newcomer("posted");
        await enter(page, administrator, PAGE);
        assert.equal(await post(page, { send: true }), 422, "to whom?");
        assertLanguage(await complaint(page, "email"), lang);
        assert.ok(await field(page, "send").isChecked(), "what was ticked is kept");
        assert.equal(await post(page, { email: who.email }), 200);
        await notice(page, lang);
        assert.deepEqual(await shown(page), [], "the link is in the mail alone");
        await opened(who);
      }));

    it("without one, the code is asked for, and the code of a link serves", () =>
      visit(async (guest) => {
        const invitation = new URL(await gateway.invite()).searchParams.get("invitation");
        const who = newcomer("typed");
        await guest.goto("/.auth/signup");
        assert.equal(await signUp(guest, who, { invitation: "not-one" }), 422);
        assertLanguage(await complaint(guest, "invitation"), lang);
        assert.equal(await signUp(guest, who, { invitation }), 200);
        assertLanguage(await guest.locator("h1").innerText(), lang);
      }));
  });
}
