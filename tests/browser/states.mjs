// Every page in every state: in which house it is, how one gets there, and the status that is met.

import { newcomer } from "./gateway.mjs";
import { arrive, field, post, signIn, signUp, submit } from "./pages.mjs";

const go = (address) => (page) => arrive(page, () => page.goto(address));
const press = (page, selector) => arrive(page, () => page.locator(selector).first().click());
const then = (address, act) => async (page, houses) => {
  await page.goto(address);
  return act(page, houses);
};

// As somebody who is signed in already.
const as = (house, who, lead) => async (page, houses) => {
  await page.context().addCookies([await houses.sessionOf(house, houses[who])]);
  return lead(page, houses);
};
const member = (lead) => as("open", "member", lead);
const keeper = (lead) => as("open", "keeper", lead);
const admin = (lead) => as("staffed", "administrator", lead);

// What was done just before.
const noticed = (value) => async (page, houses) => {
  const cookie = { name: "__Host-vestibule-notice", value, secure: true, httpOnly: true, sameSite: "Lax" };
  await page.context().addCookies([{ ...cookie, url: houses.open.origin }]);
  return arrive(page, () => page.goto("/.auth/login"));
};

// Somebody whom nobody else is.
const fresh = (prefix, lead) => async (page, houses) => {
  const who = await houses.open.signUp(newcomer(prefix));
  await page.context().addCookies([await houses.open.session(who)]);
  return lead(page, houses);
};

// With an access key, whose owner has to type the password before a change.
const withKey = (address, lead) => async (page, houses) => {
  await page.goto("/.auth/login/iam");
  await post(page, houses.key);
  await page.goto(address);
  return lead(page, houses);
};

export const STATES = {
  login: ["open", go("/.auth/login?rd=%2F")],
  "login-empty": ["open", then("/.auth/login", (page) => post(page, {})), 422],
  "login-failed": ["open", then("/.auth/login", (page) => signIn(page, newcomer("unknown").email, "wrong-1!")), 401],
  "login-locked": ["open", then("/.auth/login", (page, { nobody }) => signIn(page, nobody.email, nobody.password)), 429],
  "login-closed": ["closed", go("/.auth/login")],
  "login-invited": ["invited", go("/.auth/login")],
  "login-disabled": ["closed", then("/.auth/login", (page, { disabled }) => signIn(page, disabled.email, disabled.password)), 401],
  "login-terms": ["closed", then("/.auth/login", (page, { disagreeing: who }) => signIn(page, who.email, who.password)), 422],
  "login-unproven": ["proving", then("/.auth/login", (page, { unproven }) => signIn(page, unproven.email, unproven.password)), 401],
  "login-waiting": ["staffed", then("/.auth/login", (page, { waiting }) => signIn(page, waiting.email, waiting.password)), 401],
  "login-limited": ["strict", then("/.auth/login", (page) => signIn(page, "nobody@example.com", "wrong-1!")), 429],
  "login-unavailable": ["mute", then("/.auth/login", (page) => signIn(page, "nobody@example.com", "wrong-1!")), 503],
  "login-password-changed": ["open", noticed("password-changed")],
  "login-email-changed": ["open", noticed("email-changed")],
  "login-iam": ["open", go("/.auth/login/iam")],
  "login-iam-empty": ["open", then("/.auth/login/iam", (page) => post(page, {})), 422],
  "login-iam-failed": [
    "open",
    then("/.auth/login/iam", (page) => post(page, { access_key: "AKIAIOSFODNN7EXAMPLE", secret_key: "wrong" })),
    401,
  ],
  "signed-in": ["open", member(go("/.auth/login"))],
  signup: ["open", go("/.auth/signup")],
  "signup-failed": [
    "open",
    then("/.auth/signup", (page, { member: { email } }) =>
      post(page, { email, username: "-", password: "short", password_confirm: "other" })),
    422,
  ],
  "signup-taken": ["open", then("/.auth/signup", (page, { member: { email } }) => signUp(page, { ...newcomer(), email })), 422],
  "signup-code": ["invited", go("/.auth/signup")],
  "signup-invited": ["invited", (page, { openInvitation }) => go(openInvitation)(page)],
  "signup-bound": ["invited", (page, { boundInvitation }) => go(boundInvitation)(page)],
  "signup-void": ["invited", then("/.auth/signup?invitation=void", (page) => signUp(page, newcomer("void"))), 422],
  "signup-closed": ["closed", go("/.auth/signup"), 404],
  "signup-done": ["open", then("/.auth/signup", (page) => signUp(page, newcomer("done")))],
  "signup-done-prove": ["proving", then("/.auth/signup", (page) => signUp(page, newcomer("done")))],
  "signup-done-wait": ["staffed", then("/.auth/signup", (page) => signUp(page, newcomer("done")))],
  verify: ["proving", (page, { verifyLink }) => go(verifyLink)(page)],
  "verify-void": ["proving", go("/.auth/verify?token=void"), 400],
  forgot: ["open", go("/.auth/forgot")],
  "forgot-failed": ["open", then("/.auth/forgot", (page) => post(page, { email: "nobody" })), 422],
  "forgot-done": ["open", go("/.auth/forgot/done")],
  "forgot-off": ["closed", go("/.auth/forgot"), 404],
  reset: ["proving", (page, { resetLink }) => go(resetLink)(page)],
  "reset-failed": [
    "proving",
    async (page, { resetLink }) => {
      await page.goto(resetLink);
      return post(page, { password: "short", password_confirm: "other" });
    },
    422,
  ],
  "reset-void": ["open", go("/.auth/reset?token=void"), 400],
  logout: ["open", member(go("/.auth/logout"))],
  "logout-nobody": ["open", go("/.auth/logout")],
  "logged-out": ["open", fresh("leaves", then("/.auth/logout", (page) => press(page, submit)))],

  account: ["open", member(go("/.auth/account"))],
  "account-saved": ["open", member(go("/.auth/account?done=name"))],
  "account-name-refused": ["open", member(then("/.auth/account", (page) => post(page, { name: "x".repeat(200) }))), 422],
  "account-email": ["open", member(go("/.auth/account/email"))],
  "account-email-failed": [
    "open",
    fresh("mover", then("/.auth/account/email", (page) => post(page, { email: "new@example.com", current_password: "wrong-1!" }))),
    422,
  ],
  "account-username": ["open", member(go("/.auth/account/username"))],
  "account-username-failed": [
    "open",
    fresh("renamed", then("/.auth/account/username", (page) => post(page, { username: "-" }))),
    422,
  ],
  "account-password": ["open", member(go("/.auth/account/password"))],
  "account-password-failed": [
    "open",
    fresh("changer", then("/.auth/account/password", (page) =>
      post(page, { current_password: "wrong-1!", password: "short", password_confirm: "other" }))),
    422,
  ],
  "account-sessions": ["open", member(go("/.auth/account/sessions"))],
  "account-sessions-next": [
    "open",
    as("open", "busy", then("/.auth/account/sessions", (page) => press(page, 'main a[href*="after="]'))),
  ],
  "account-keys": ["open", keeper(go("/.auth/account/keys"))],
  "account-keys-none": ["open", member(go("/.auth/account/keys"))],
  "account-keys-made": [
    "open",
    fresh("keys", then("/.auth/account/keys", (page) => post(page, { name: "a laptop with a rather long name, and no dashes" }))),
  ],
  "account-activity": ["open", member(go("/.auth/account/activity"))],
  "account-language": ["open", member(go("/.auth/account/language"))],
  "account-delete": ["open", member(go("/.auth/account/delete"))],
  "account-deleted": [
    "open",
    fresh("goes", then("/.auth/account/delete", (page) => post(page, { current_password: newcomer().password }))),
  ],
  proof: [
    "open",
    withKey("/.auth/account/keys", async (page) => {
      await field(page, "name").fill("another");
      return press(page, "main form button.primary");
    }),
    422,
  ],
  "proof-failed": [
    "open",
    withKey("/.auth/account/keys", async (page) => {
      await field(page, "name").fill("another");
      await press(page, "main form button.primary");
      return post(page, { current_password: "wrong-1!" });
    }),
    422,
  ],
  "account-menu": [
    "open",
    member(then("/.auth/account", async (page) => {
      const fold = page.locator("nav summary");
      if (await fold.isVisible()) await fold.click();
      return 200;
    })),
  ],

  admin: ["staffed", admin(go("/.auth/admin"))],
  "admin-accounts": ["staffed", admin(go("/.auth/admin/accounts"))],
  "admin-accounts-next": ["staffed", admin(then("/.auth/admin/accounts", (page) => press(page, 'main a[href*="after="]')))],
  "admin-accounts-waiting": ["staffed", admin(go("/.auth/admin/accounts?status=awaiting-approval"))],
  "admin-accounts-none": ["staffed", admin(go("/.auth/admin/accounts?q=nobody"))],
  "admin-accounts-refused": ["staffed", admin(go("/.auth/admin/accounts?status=bogus")), 422],
  "admin-accounts-sorted": ["staffed", admin(go("/.auth/admin/accounts?sort=-last-sign-in"))],
  "admin-accounts-last": [
    "staffed",
    admin(then("/.auth/admin/accounts?sort=name", (page) => press(page, 'main a[href*="after="]'))),
  ],
  "admin-accounts-unsorted": ["staffed", admin(go("/.auth/admin/accounts?sort=bogus")), 422],
  "admin-accounts-unchosen": [
    "staffed",
    admin(then("/.auth/admin/accounts", (page) => press(page, 'main button[value="disable"]'))),
    422,
  ],
  "admin-accounts-changed": [
    "staffed",
    admin(
      then("/.auth/admin/accounts?sort=email&q=person1", async (page) => {
        for (const box of (await page.locator('main [name="accounts"]').all()).slice(0, 3)) await box.check();
        return press(page, 'main button[value="approve"]');
      }),
    ),
  ],
  "admin-account-add": ["staffed", admin(go("/.auth/admin/accounts/new"))],
  "admin-account-add-shown": ["invited", as("invited", "warden", go("/.auth/admin/accounts/new"))],
  "admin-account-add-failed": [
    "staffed",
    admin(then("/.auth/admin/accounts/new", (page) => post(page, { email: "nobody", username: "-" }))),
    422,
  ],
  "admin-account-added": [
    "invited",
    as("invited", "warden", then("/.auth/admin/accounts/new", (page) => post(page, { email: newcomer("added").email }))),
  ],
  "admin-account-name-refused": [
    "staffed",
    admin(
      then("/.auth/admin/account?id=person4", async (page) => {
        await field(page, "name").fill("x".repeat(200));
        return press(page, 'main button[value="set-name"]');
      }),
    ),
    422,
  ],
  "admin-groups": ["staffed", admin(go("/.auth/admin/groups"))],
  "admin-account": ["staffed", admin(go("/.auth/admin/account?id=person1"))],
  "admin-account-long": ["staffed", (page, houses) => admin(go(`/.auth/admin/account?id=${houses.long.username}`))(page, houses)],
  "admin-account-locked": ["staffed", admin(go("/.auth/admin/account?id=person7"))],
  "admin-account-waiting": [
    "staffed",
    (page, houses) => admin(go(`/.auth/admin/account?id=${houses.waiting.username}`))(page, houses),
  ],
  "admin-account-declined": [
    "staffed",
    (page, houses) => admin(go(`/.auth/admin/account?id=${houses.declined.username}`))(page, houses),
  ],
  "admin-account-unconfirmed": [
    "staffed",
    admin(then("/.auth/admin/account?id=person1", (page) => press(page, 'main button[value="delete"]'))),
    422,
  ],
  "admin-reset-link": [
    "staffed",
    admin(then("/.auth/admin/account?id=person2", (page) => press(page, 'main button[value="reset-link"]'))),
  ],
  "admin-sessions": ["staffed", admin(go("/.auth/admin/sessions"))],
  "admin-sessions-next": ["staffed", admin(then("/.auth/admin/sessions", (page) => press(page, 'main a[href*="after="]')))],
  "admin-sessions-of": ["staffed", admin((page, houses) => go(`/.auth/admin/sessions?account=${houses.administrator.username}`)(page))],
  "admin-sessions-none": ["staffed", admin(go("/.auth/admin/sessions?account=person2"))],
  "admin-sessions-refused": ["staffed", admin(go("/.auth/admin/sessions?account=nobody")), 422],
  "admin-sessions-ended": ["staffed", admin(go("/.auth/admin/sessions?done=ended&count=3"))],
  "admin-invitations": ["staffed", admin(go("/.auth/admin/invitations"))],
  "admin-invitations-none": ["proving", as("proving", "steward", go("/.auth/admin/invitations"))],
  "admin-invitations-made": [
    "staffed",
    admin(
      then("/.auth/admin/invitations", async (page) => {
        await field(page, "count").fill("2");
        return press(page, "main form button.primary");
      }),
    ),
  ],
  "admin-invitations-sent": [
    "staffed",
    admin(then("/.auth/admin/invitations", (page) => post(page, { email: newcomer("invited").email, send: true }))),
  ],
  "admin-invitations-again": ["staffed", admin(go("/.auth/admin/invitations?q=gone.away&done=unchanged"))],
  "admin-invitations-gone": ["staffed", admin(go("/.auth/admin/invitations?q=nobody&done=create"))],
  "admin-invitations-failed": [
    "staffed",
    admin(
      then("/.auth/admin/invitations", async (page) => {
        await field(page, "email").fill("nobody");
        await field(page, "count").fill("1000");
        return press(page, "main form button.primary");
      }),
    ),
    422,
  ],
  "admin-audit": ["staffed", admin(go("/.auth/admin/audit"))],
  "admin-audit-failures": ["staffed", admin(go("/.auth/admin/audit?outcome=failure"))],
  "admin-audit-refused": ["staffed", admin(go("/.auth/admin/audit?event=bogus&outcome=bogus&from=soon&until=soon&client=here")), 422],
  "admin-request": [
    "staffed",
    admin(then("/.auth/admin/audit?outcome=failure", (page) => press(page, 'main a[href*="/.auth/admin/request?id="]'))),
  ],
  "admin-request-none": ["staffed", admin(go("/.auth/admin/request"))],
  "admin-request-unknown": ["staffed", admin(go("/.auth/admin/request?id=0123456789")), 404],
  "admin-audit-none": ["staffed", admin(go("/.auth/admin/audit?who=nobody"))],
  "admin-locks": ["staffed", admin(go("/.auth/admin/locks"))],
  "admin-locks-none": ["invited", as("invited", "warden", go("/.auth/admin/locks"))],
  "admin-mails": ["staffed", admin(go("/.auth/admin/mails"))],
  "admin-mails-dropped": ["staffed", admin(go("/.auth/admin/mails?state=failed&done=drop"))],
  "admin-mails-none": ["invited", as("invited", "warden", go("/.auth/admin/mails"))],

  demo: ["open", member(go("/"))],
  "demo-anonymous": ["open", go("/terms")],
  problem: ["open", go("/.auth/problems/locked")],
  problems: ["open", go("/.auth/problems/")],
  "problem-long": ["open", go("/.auth/problems/rate-limited")],
  "not-found": ["open", go("/.auth/nothing"), 404],
  forbidden: ["open", member(go("/operators")), 403],
  "forbidden-admin": ["open", member(go("/.auth/admin")), 403],
  unreachable: ["open", member(go("/down")), 502],
};
