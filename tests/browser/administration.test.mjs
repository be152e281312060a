// What administrators do, and what it means for those who wait.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { violations } from "./axe.mjs";
import { WAYS } from "./browser.mjs";
import { HASH, newcomer } from "./gateway.mjs";
import { linkIn } from "./mails.mjs";
import { arrive, assertLanguage, complaint, enter, field, notice, post, signIn, signUp, tabTo } from "./pages.mjs";
import { Site } from "./site.mjs";

const NEW = "other-Harbour_43";

let site, mails, gateway, browser, administrator;

before(async () => {
  site = await Site.start({ signup: { approval: true, terms_version: "" } });
  ({ mails, gateway, browser } = site);
  administrator = await gateway.administrator();
});

after(() => site?.stop());

// A button's value is the action, or the action and what it is about.
const press = (page, action) =>
  arrive(page, () =>
    page.locator(`main button[name="action"]:is([value="${action}"], [value^="${action} "])`).first().click(),
  );

// Has a page shown anew until something is on it.
async function seen(page, wanted) {
  for (const patience = AbortSignal.timeout(30_000); (await wanted.count()) === 0; await page.reload()) {
    patience.throwIfAborted();
  }
}

async function open(page, who) {
  await page.goto("/.auth/admin/accounts");
  await field(page, "q").fill(who.username);
  await arrive(page, () => page.locator("main form button").first().click());
  assert.equal(await arrive(page, () => page.locator(`main a:text-is("${who.email}")`).click()), 200);
}

// Hours, minutes and seconds with the zone, as ISO 8601 has them: browsers write 07시 26분 3초 in Korean.
const timeOfDay = (text) => {
  const [, hours, minutes, seconds, zone] = /(\d+)\D+(\d+)\D+(\d+)초? (\S+)$/.exec(text) ?? [];
  return `${[hours, minutes, seconds].map((part) => String(part).padStart(2, "0")).join(":")} ${zone}`;
};

for (const { lang, script, how } of WAYS) {
  describe(how, () => {
    const visit = (act, look) => browser.visit({ origin: gateway.origin, lang, script, ...look }, act);
    const click = (page, selector) => arrive(page, () => page.locator(`main ${selector}`).first().click());
    // Administrators are told of twenty an hour who wait: these do not.
    const join = async (prefix) => {
      const who = newcomer(prefix);
      await gateway.command("user", "add", who.email, "--username", who.username, "--password-hash", HASH);
      return who;
    };
    const tries = (who, password = who.password) =>
      visit(async (page) => {
        await page.goto("/");
        const status = await signIn(page, who.email, password);
        if (status !== 200) assertLanguage(await page.locator('[role="alert"]').innerText(), lang);
        return status;
      });

    it("somebody waits, is approved, disabled and enabled again", async () => {
      const who = newcomer("waits");
      await visit(async (page) => {
        await page.goto("/.auth/signup");
        assert.equal(await signUp(page, who), 200);
        assertLanguage(await page.locator("main .lead").innerText(), lang);
      });
      assert.equal(await tries(who), 401, "waits");

      await visit(async (page) => {
        await enter(page, administrator, "/.auth/admin");
        await click(page, 'a[href*="status=awaiting-approval"]');
        assert.ok((await page.locator("main").innerText()).includes(who.email), "among those who wait");
        await open(page, who);
        await field(page, "reason").first().fill("one of us");
        assert.equal(await press(page, "approve"), 200);
        await notice(page, lang);
        assert.ok((await page.locator("main").innerText()).includes("one of us"), "the reason is shown");
        assert.equal(await tries(who), 200, "approved");

        await press(page, "disable");
        assert.equal(await tries(who), 401, "disabled");
        await press(page, "enable");
        assert.equal(await tries(who), 200, "enabled");

        await click(page, 'a[href*="/.auth/admin/audit?account="]');
        const log = await page.locator("main").innerText();
        assertLanguage(log, lang);
        assert.ok(log.includes("one of us") && log.includes(administrator.email), log);
      });
    });

    it("administrators hear of who waits, and who waits hears what was decided", () =>
      visit(async (page) => {
        const [welcome, other] = [newcomer("welcome"), newcomer("other")];
        for (const who of [welcome, other]) await gateway.signUp(who, { "accept-language": lang });
        for (let n = 1; !(await mails.mailTo(administrator.email, n)).includes(welcome.email); n++);
        await enter(page, administrator, "/.auth/admin");
        await open(page, welcome);
        assert.equal(await press(page, "approve"), 200);
        const good = await mails.mailTo(welcome.email);
        assertLanguage(good, lang);
        assert.equal(await arrive(page, () => page.goto(linkIn(good))), 200);
        await open(page, other);
        await field(page, "reason").first().fill("a stranger");
        assert.equal(await press(page, "decline"), 200);
        await notice(page, lang);
        const bad = await mails.mailTo(other.email);
        assertLanguage(bad, lang);
        assert.ok(!bad.includes("a stranger"), "the reason is the administrators'");
        assert.equal(await tries(welcome), 200);
        assert.equal(await tries(other), 401);
      }));

    it("a lock is lifted", () =>
      visit(async (page) => {
        const who = await join("locked");
        await gateway.lock(who.email);
        assert.equal(await tries(who), 429);
        await enter(page, administrator, "/.auth/admin/locks");
        const row = `li:has(a:text-is("${who.email}"))`;
        assert.equal(await click(page, `${row} button`), 200);
        await notice(page, lang);
        assert.equal(await tries(who), 200);
        await page.goto("/.auth/admin/locks");
        assert.equal(await page.locator(`main ${row}`).count(), 0);
      }));

    it("groups open and close what they guard, at once", () =>
      visit(async (page) => {
        const who = await join("grouped");
        await enter(page, administrator, "/.auth/admin");
        await open(page, who);
        const set = async (groups) => {
          await field(page, "groups").fill(groups);
          return press(page, "set-groups");
        };
        await visit(async (own) => {
          await enter(own, who, "/");
          const reaches = () => arrive(own, () => own.goto("/operators"));
          assert.equal(await reaches(), 403);
          assert.equal(await set("operators, staff"), 200);
          await notice(page, lang);
          assert.equal(await reaches(), 200);
          assert.equal(await set(""), 200);
          assert.equal(await reaches(), 403);
        });
      }));

    it("a link for a new password is handed over", () =>
      visit(async (page) => {
        const who = await join("forgot");
        await enter(page, administrator, "/.auth/admin");
        await open(page, who);
        assert.equal(await press(page, "reset-link"), 200);
        const link = await page.locator('main [role="status"] code').innerText();
        await visit(async (own) => {
          assert.equal(await arrive(own, () => own.goto(link)), 200);
          assert.equal(await post(own, { password: NEW, password_confirm: NEW }), 200);
          assert.equal(await signIn(own, who.email, NEW), 200);
        });
      }));

    it("sessions are ended, and an account is deleted once that is confirmed", () =>
      visit(async (page) => {
        const who = await join("leaves");
        await enter(page, administrator, "/.auth/admin");
        await visit(async (own) => {
          const ended = async () => {
            await own.goto("/");
            return new URL(own.url()).pathname === "/.auth/login";
          };
          await enter(own, who, "/");
          await open(page, who);
          assert.equal(await press(page, "end-session"), 200);
          await notice(page, lang);
          assert.ok(await ended());
          assert.equal(await signIn(own, who.email, who.password), 200);
          await page.reload();
          assert.equal(await press(page, "end-sessions"), 200);
          await notice(page, lang);
          assert.ok(await ended());
          assert.equal(await signIn(own, who.email, who.password), 200);
          assert.equal(await press(page, "delete"), 422);
          assertLanguage(await complaint(page, "confirm"), lang);
          assert.ok(!(await ended()));
          await field(page, "confirm").check();
          assert.equal(await press(page, "delete"), 200);
          await notice(page, lang);
          assert.ok(await ended());
          assert.equal(await signIn(own, who.email, who.password), 401);
        });
      }));

    it("several are disabled and put into groups at once, and the list says who was not", () =>
      visit(async (page) => {
        // The gateway is shared with the other ways.
        const batch = `batch-${lang}-${script ? "script" : "plain"}-`;
        const people = [await join(batch), await join(batch)];
        await enter(page, administrator, "/.auth/admin/accounts");
        await field(page, "q").fill(batch);
        await click(page, "form button");
        const tick = async (...emails) => {
          for (const email of emails) await page.locator(`main tr:has(a:text-is("${email}")) [name="accounts"]`).check();
        };
        assert.equal(await press(page, "disable"), 422, "nobody is chosen");
        assertLanguage(await page.locator('main [role="alert"]').innerText(), lang);
        await tick(...people.map(({ email }) => email));
        assert.equal(await press(page, "add-groups"), 422, "no group is named");
        assertLanguage(await complaint(page, "groups"), lang);
        assert.equal(await page.locator('main [name="accounts"]:checked').count(), 2, "what was chosen stays so");
        await field(page, "groups").fill("operators");
        assert.equal(await press(page, "add-groups"), 200);
        await notice(page, lang);
        assert.equal(await page.locator('main td:text-is("operators")').count(), 2);
        await tick(people[0].email);
        await field(page, "reason").fill("left in May");
        assert.equal(await press(page, "disable"), 200);
        assert.ok((await notice(page, lang)).includes(people[0].email));
        assert.equal(await tries(people[0]), 401);
        assert.equal(await tries(people[1]), 200);
        await page.goto(`/.auth/admin/accounts?q=${administrator.username}`);
        await tick(administrator.email);
        assert.equal(await press(page, "disable"), 200);
        const refused = await page.locator('main [role="alert"]').innerText();
        assertLanguage(refused, lang);
        assert.ok(refused.includes(administrator.email), refused);
      }));

    it("the list is sorted by the heads of its columns, by keyboard, and downloaded", () =>
      visit(async (page) => {
        const people = [await join("sorted-b"), await join("sorted-a")].map(({ email }) => email);
        await enter(page, administrator, "/.auth/admin/accounts");
        await field(page, "q").fill("sorted-");
        await click(page, "form button");
        const listed = async () => {
          const all = await page.locator("main td.event a").allInnerTexts();
          return all.filter((email) => people.includes(email));
        };
        const head = page.locator('main th a[href*="sort=email"]');
        await head.focus();
        await arrive(page, () => page.keyboard.press("Enter"));
        assert.deepEqual(await listed(), people.toSorted());
        assert.equal(await page.locator('main th[aria-sort="ascending"]').count(), 1);
        await click(page, 'th a[href*="sort=-email"]');
        assert.deepEqual(await listed(), people.toSorted().reverse());
        assert.equal(await page.locator('main th[aria-sort="descending"]').count(), 1);
        assertLanguage(await page.locator("main .lead").first().innerText(), lang);
        const [download] = await Promise.all([page.waitForEvent("download"), page.locator("main a[download]").click()]);
        assert.equal(download.suggestedFilename(), "accounts.csv");
        const rows = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n");
        assert.ok(rows[0].startsWith("email,username,name,groups,"), rows[0]);
        assert.ok(people.every((email) => rows.some((row) => row.startsWith(`${email},`))), rows.join("\n"));
      }));

    it("an account is added, and its owner sets the password by the mailed link", () =>
      visit(async (page) => {
        const who = newcomer("added");
        await enter(page, administrator, "/.auth/admin/accounts");
        await click(page, 'a[href="/.auth/admin/accounts/new"]');
        assert.equal(await post(page, { email: "nobody" }), 422);
        assertLanguage(await complaint(page, "email"), lang);
        assert.equal(await post(page, { email: who.email, name: "Ada Winter", groups: "staff" }), 200);
        await notice(page, lang);
        const letter = await mails.mailTo(who.email);
        assertLanguage(letter, lang);
        await visit(async (own) => {
          assert.equal(await arrive(own, () => own.goto(linkIn(letter))), 200);
          assert.equal(await post(own, { password: NEW, password_confirm: NEW }), 200);
          assert.equal(await signIn(own, who.email, NEW), 200);
        });
        const handed = newcomer("handed");
        await page.goto("/.auth/admin/accounts/new");
        await field(page, "email").fill(handed.email);
        await field(page, "send").uncheck();
        assert.equal(await click(page, "form button"), 200);
        const link = await page.locator('main [role="status"] code').innerText();
        await visit(async (own) => assert.equal(await arrive(own, () => own.goto(link)), 200));
      }));

    it("a name and an address are changed, and an access key is revoked", () =>
      visit(async (page) => {
        const [who, moved] = [await join("moves"), newcomer("moved")];
        const { access_key: key } = await gateway.command("key", "create", who.email, "--name", "laptop");
        await enter(page, administrator, "/.auth/admin");
        await open(page, who);
        await field(page, "reason").fill("as asked");
        await field(page, "name").fill("Mina Kim");
        assert.equal(await press(page, "set-name"), 200);
        await notice(page, lang);
        await field(page, "email").fill("nobody");
        assert.equal(await press(page, "set-email"), 422);
        assertLanguage(await complaint(page, "email"), lang);
        await field(page, "email").fill(moved.email);
        assert.equal(await press(page, "set-email"), 200);
        await notice(page, lang);
        assert.ok((await page.locator("main h1").innerText()).includes(moved.email));
        assert.equal(await press(page, "revoke-key"), 200);
        await notice(page, lang);
        assert.ok(!(await page.locator("main").innerText()).includes(key));
      }));

    it("groups are listed with their members and what they open", () =>
      visit(async (page) => {
        const who = await join("member");
        await gateway.command("user", "set-groups", who.email, `club-${lang}`);
        await enter(page, administrator, "/.auth/admin/groups");
        const row = page.locator(`main tr:has(th:text-is("club-${lang}"))`);
        assertLanguage((await row.locator("td").nth(1).innerText()).trim(), lang);
        assert.equal(await arrive(page, () => row.locator("a").click()), 200);
        assert.ok((await page.locator("main").innerText()).includes(who.email));
      }));

    it("a mail that failed is sent again", () =>
      visit(async (page) => {
        const who = newcomer("unreachable");
        await mails.refuse({ [who.email]: "550 5.1.1 There is no mailbox of this name" });
        await gateway.signUp(who, { "accept-language": lang });
        await gateway.command("user", "approve", who.email);
        await enter(page, administrator, "/.auth/admin");
        const counted = 'dd a[href="/.auth/admin/mails"]';
        await seen(page, page.locator(`main ${counted}`));
        assert.equal(await click(page, counted), 200);
        const row = page.locator(`main li:has(h3:has-text("${who.email}")):has(button)`);
        await seen(page, row);
        const said = await row.innerText();
        assert.ok(said.includes("There is no mailbox of this name"), said);
        await mails.refuse({});
        assert.equal(await arrive(page, () => row.locator('button[value="send"]').click()), 200);
        await notice(page, lang);
        assertLanguage(await mails.mailTo(who.email), lang);
      }));

    it("times are in the reader's zone, with UTC on hover, and in UTC without a script", () =>
      visit(
        async (page) => {
          await enter(page, administrator, "/.auth/admin/audit");
          const time = page.locator("main tbody time").first();
          const text = await time.innerText();
          const at = new Date(await time.getAttribute("datetime"));
          const clock = (hours) => new Date(at.getTime() + hours * 3_600_000).toISOString().slice(11, 19);
          assertLanguage(text, lang);
          assert.equal(timeOfDay(text), script ? `${clock(9)} GMT+9` : `${clock(0)} UTC`, `${text} for ${at.toISOString()}`);
          const title = await time.getAttribute("title");
          if (!script) return assert.equal(title, null);
          assertLanguage(title, lang);
          assert.equal(timeOfDay(title), `${clock(0)} UTC`, title);
        },
        { zone: "Asia/Seoul" },
      ));

    it("search forms are one line on a wide screen, and one column on a narrow one", () =>
      visit(async (page) => {
        await enter(page, administrator, "/.auth/admin");
        for (const where of ["accounts", "sessions", "audit", "request", "mails"]) {
          await page.goto(`/.auth/admin/${where}`);
          const controls = page.locator("main form.filters :is(input, select, button)");
          const ends = async () => {
            const boxes = await controls.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().bottom));
            return new Set(boxes.map(Math.round)).size;
          };
          await page.setViewportSize({ width: 1280, height: 800 });
          assert.equal(await ends(), where === "audit" ? 2 : 1, where);
          await page.setViewportSize({ width: 320, height: 800 });
          assert.equal(await ends(), await controls.count(), where);
        }
      }));

    it("the audit log is a table, which a narrow screen shows with a heading at each cell", () =>
      visit(async (page) => {
        await enter(page, administrator, "/.auth/admin/audit");
        const headings = await page.locator("main th").allInnerTexts();
        assert.equal(headings.length, 6, String(headings));
        for (const heading of headings) assertLanguage(heading.replace("IP", ""), lang);
        const row = page.locator("main tbody tr").first();
        assert.equal(await row.locator("td").count(), headings.length);
        await page.setViewportSize({ width: 360, height: 800 });
        const shown = await row.locator("td").evaluateAll((cells) =>
          cells
            .filter((cell) => cell.checkVisibility() && !cell.matches(".event"))
            .map((cell) => getComputedStyle(cell, "::before").content.slice(1, -1)),
        );
        assert.ok(shown.length > 2 && shown.every((heading) => headings.includes(heading)), String(shown));
      }));

    it("a row of the audit log leads to its request and to its account, and times have seconds", () =>
      visit(async (page) => {
        const who = await join("traced");
        assert.equal(await tries(who, "wrong-1!"), 401);
        await enter(page, administrator, "/.auth/admin/audit");
        await field(page, "who").fill(who.email);
        await field(page, "outcome").selectOption("failure");
        assert.equal(await click(page, "form button"), 200);
        const row = page.locator("main table > tbody > tr").first();
        assert.match(timeOfDay(await row.locator("time").first().innerText()), /^\d\d:\d\d:\d\d /);
        const id = new URL(await row.locator('a[href*="/request?id="]').getAttribute("href"), gateway.origin).searchParams.get("id");
        assert.equal(await click(page, 'table a[href*="/request?id="]'), 200);
        assertLanguage(await page.locator("h1").innerText(), lang);
        assert.equal(await field(page, "id").inputValue(), id);
        assert.ok((await page.locator("main dl").innerText()).includes("POST"), "what was asked");
        // axe waits for timers, which a page without JavaScript does not run.
        if (script) assert.deepEqual(await violations(page), []);
        assert.equal(await click(page, `table a[href*="/admin/account?id="]`), 200);
        assert.ok((await page.locator("h1").innerText()).includes(who.email));
        await page.goto("/.auth/admin/audit");
        await field(page, "request").fill(id);
        assert.equal(await click(page, "form button"), 200);
        assert.equal(await page.locator("main table > tbody > tr").count(), 1);
      }));

    it("sessions are found by their account and ended by the keyboard", () =>
      visit(async (page) => {
        const who = await join("roaming");
        const cookie = await gateway.session(who);
        await gateway.session(who);
        const isIn = async () =>
          (await gateway.send("GET", "/.auth/me", undefined, { cookie: `${cookie.name}=${cookie.value}` })).status === 200;
        assert.ok(await isIn());
        await enter(page, administrator, "/.auth/admin/sessions");
        await field(page, "account").fill("nobody-at-all");
        await field(page, "account").press("Enter");
        await page.waitForURL(/account=nobody/);
        assertLanguage(await complaint(page, "account"), lang);
        await field(page, "account").fill(who.username);
        assert.equal(await click(page, "form button"), 200);
        assert.equal(await page.locator("main ul.rows > li").count(), 2);
        await tabTo(page, "main ul.rows button");
        assert.equal(await arrive(page, () => page.keyboard.press("Enter")), 200);
        await notice(page, lang);
        assert.equal(await page.locator("main ul.rows > li").count(), 1);
        assert.equal(await arrive(page, () => page.locator('form:has([value="end-sessions"]) button').click()), 200);
        assert.equal(await page.locator("main ul.rows > li").count(), 0);
        assert.ok(!(await isIn()));
      }));

    it("the audit log is filtered and exported", () =>
      visit(async (page) => {
        const who = await join("watched");
        assert.equal(await tries(who, "wrong-1!"), 401);
        await enter(page, administrator, "/.auth/admin/audit");
        await field(page, "who").fill(who.email);
        await field(page, "outcome").selectOption("failure");
        assert.equal(await click(page, "form button"), 200);
        const rows = page.locator("main table > tbody > tr");
        assert.equal(await rows.count(), 1);
        assertLanguage(await rows.first().innerText(), lang);
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page.locator("main a[download]").click(),
        ]);
        const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));
        assert.equal(lines.length, 1, "what was filtered");
        assert.equal(lines[0].outcome, "failure");
        assert.equal(lines[0].user, who.email);
      }));
  });
}
