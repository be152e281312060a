// Every page in every state: nothing for axe-core to find, nothing wider than the screen, and a picture to look at.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { violations } from "./axe.mjs";
import { Browser, LANGUAGES } from "./browser.mjs";
import { Gateway, newcomer } from "./gateway.mjs";
import { arrive, post, signIn, signUp, submit } from "./pages.mjs";

const pictures = fileURLToPath(new URL("screenshots/", import.meta.url));

let gateway, browser, member, administrator;
const nobody = newcomer("nobody");

before(async () => {
  await mkdir(pictures, { recursive: true });
  gateway = await Gateway.start();
  browser = await Browser.start(gateway.authority);
  member = await gateway.signUp(newcomer("member"));
  administrator = await gateway.administrator();
  const locked = await gateway.signUp(newcomer("locked"));
  await gateway.lock(locked.email);
  const statuses = await gateway.lock(nobody.email);
  assert.deepEqual(statuses, [...Array(11).fill(401), 429], "an unknown name locks as a known one");
});

after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

const enter = async (page) => {
  await page.goto("/");
  await signIn(page, member.email, member.password);
};

// Signs the administrator in and opens a page of theirs.
const administer = (address) => async (page) => {
  await page.goto("/");
  await signIn(page, administrator.email, administrator.password);
  return arrive(page, () => page.goto(`/.auth/admin${address}`));
};

// Each leads a fresh page into the state, and answers with the status that was met.
const STATES = {
  login: (page) => arrive(page, () => page.goto("/.auth/login")),
  "login-empty": async (page) => {
    await page.goto("/.auth/login");
    return post(page, {});
  },
  "login-failed": async (page) => {
    await page.goto("/.auth/login");
    return signIn(page, newcomer("unknown").email, "wrong-1!");
  },
  "login-locked": async (page) => {
    await page.goto("/.auth/login");
    return signIn(page, nobody.email, nobody.password);
  },
  "login-iam": (page) => arrive(page, () => page.goto("/.auth/login/iam")),
  "login-iam-empty": async (page) => {
    await page.goto("/.auth/login/iam");
    return post(page, {});
  },
  "login-iam-failed": async (page) => {
    await page.goto("/.auth/login/iam");
    return post(page, { access_key: "AKIAIOSFODNN7EXAMPLE", secret_key: "wrong" });
  },
  signup: (page) => arrive(page, () => page.goto("/.auth/signup")),
  "signup-failed": async (page) => {
    await page.goto("/.auth/signup");
    return post(page, { email: member.email, username: "-", password: "short", password_confirm: "other" });
  },
  "signup-done": async (page) => {
    await page.goto("/.auth/signup");
    return signUp(page, newcomer("done"));
  },
  "signed-in": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/login"));
  },
  logout: async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/logout"));
  },
  "logged-out": async (page) => {
    await enter(page);
    await page.goto("/.auth/logout");
    return arrive(page, () => page.locator(submit).first().click());
  },
  demo: async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/"));
  },
  account: async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account"));
  },
  "account-password": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/password"));
  },
  "account-sessions": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/sessions"));
  },
  "account-keys": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/keys"));
  },
  "account-keys-made": async (page) => {
    const who = await gateway.signUp(newcomer("keys"));
    await page.goto("/");
    await signIn(page, who.email, who.password);
    await page.goto("/.auth/account/keys");
    return post(page, { name: "a laptop with a rather long name, and no dashes" });
  },
  "account-activity": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/activity"));
  },
  "account-language": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/language"));
  },
  "account-delete": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/delete"));
  },
  "account-email": async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/.auth/account/email"));
  },
  "account-username": async (page) => {
    await enter(page);
    await page.goto("/.auth/account/username");
    return post(page, { username: "-" });
  },
  forgot: (page) => arrive(page, () => page.goto("/.auth/forgot")),
  "forgot-failed": async (page) => {
    await page.goto("/.auth/forgot");
    return post(page, { email: "nobody" });
  },
  "forgot-done": (page) => arrive(page, () => page.goto("/.auth/forgot/done")),
  "reset-void": (page) => arrive(page, () => page.goto("/.auth/reset?token=void")),
  "verify-void": (page) => arrive(page, () => page.goto("/.auth/verify?token=void")),
  admin: administer(""),
  "admin-accounts": administer("/accounts?q=m"),
  "admin-account": (page) => administer(`/account?id=${member.username}`)(page),
  "admin-account-unconfirmed": async (page) => {
    await administer(`/account?id=${member.username}`)(page);
    return arrive(page, () => page.locator('main form:has([name="confirm"]) button').click());
  },
  "admin-reset-link": async (page) => {
    await administer(`/account?id=${member.username}`)(page);
    return arrive(page, () => page.locator('main button[value="reset-link"]').click());
  },
  "admin-invitations": async (page) => {
    await administer("/invitations")(page);
    return arrive(page, () => page.locator("main form button.primary").click());
  },
  "admin-audit": administer("/audit"),
  "admin-locks": administer("/locks"),
  "admin-mails": administer("/mails"),
  "demo-anonymous": (page) => arrive(page, () => page.goto("/terms")),
  problem: (page) => arrive(page, () => page.goto("/.auth/problems/locked")),
  "not-found": (page) => arrive(page, () => page.goto("/.auth/nothing")),
  forbidden: async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/operators"));
  },
  unreachable: async (page) => {
    await enter(page);
    return arrive(page, () => page.goto("/down"));
  },
};

const STATUS = {
  "login-empty": 422,
  "login-failed": 401,
  "login-locked": 429,
  "login-iam-empty": 422,
  "account-username": 422,
  "login-iam-failed": 401,
  "signup-failed": 422,
  "forgot-failed": 422,
  "reset-void": 400,
  "verify-void": 400,
  "admin-account-unconfirmed": 422,
  "not-found": 404,
  forbidden: 403,
  unreachable: 502,
};

for (const lang of LANGUAGES) {
  for (const width of [360, 1280]) {
    for (const dark of [false, true]) {
      const look = `${lang}-${width}-${dark ? "dark" : "light"}`;
      describe(look, () => {
        for (const [state, lead] of Object.entries(STATES)) {
          it(state, () =>
            browser.visit({ origin: gateway.origin, lang, width, dark }, async (page) => {
              assert.equal(await lead(page), STATUS[state] ?? 200);
              assert.equal(await page.locator("html").getAttribute("lang"), lang);
              await page.screenshot({ path: `${pictures}${state}-${look}.png`, fullPage: true });
              const overflow = await page.evaluate(
                () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
              );
              assert.ok(overflow <= 0, `${overflow} pixels wider than the screen`);
              assert.deepEqual(await violations(page), []);
            }));
        }
      });
    }
  }
}

describe("320 pixels, the narrowest screen", () => {
  for (const [state, lead] of Object.entries(STATES)) {
    it(state, () =>
      browser.visit({ origin: gateway.origin, width: 320 }, async (page) => {
        await lead(page);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 320, `${width} pixels wide`);
      }));
  }
});
