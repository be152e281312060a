// Gateways that are configured differently and lived in: between them every page has something to show.

import { writeFile } from "node:fs/promises";
import path from "node:path";

import { Gateway, HASH, newcomer } from "./gateway.mjs";
import { MailServer, linkIn } from "./mails.mjs";

const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
  "curl/8.14.1",
];

export class Houses {
  static async start() {
    const houses = new Houses();
    try {
      await houses.#build();
    } catch (error) {
      await houses.stop();
      throw error;
    }
    return houses;
  }

  async #build() {
    const mails = (this.mails = await MailServer.start());
    await mails.refuse({
      "gone.away@harbour.example": "550 5.1.1 There is no mailbox of this name",
      "busy.person@harbour.example": "451 4.3.0 Try again later",
    });
    const start = async (name, change) => (this[name] = await Gateway.start(change));
    await Promise.all([
      start("open"),
      start("proving", { signup: { verify_email: true, privacy_url: "https://localhost/privacy" } }),
      start("staffed", { signup: { approval: true }, mail: { url: mails.url } }),
      start("invited", { signup: { mode: "invite" }, login: { iam: false } }),
      start("closed", { signup: { mode: "closed", terms_version: "2" }, login: { reset: false, username: false } }),
      start("strict", { lockout: { address_failures: 2 } }),
      start("mute", { audit: { mode: "required", file: "/dev/full" } }),
    ]);
    this.sessions = new Map();
    await Promise.all([this.#fillOpen(), this.#fillStaffed(), this.#fillOthers()]);
  }

  async #fillOpen() {
    const { open } = this;
    this.nobody = newcomer("nobody");
    await open.lock(this.nobody.email);
    this.member = await open.signUp(newcomer("member"));
    await open.command("user", "set-groups", this.member.email, "staff");
    this.keeper = await open.signUp(newcomer("keeper"));
    for (const agent of AGENTS) {
      await open.session(this.member, { "user-agent": agent });
      await open.session(this.keeper, { "user-agent": agent });
    }
    await open.send("POST", "/.auth/login", { login: this.member.email, password: "wrong-1!" });
    await open.command("key", "create", this.keeper.email, "--name", "Backup of the calendars, every night", "--ttl", "90d");
    await open.command("key", "create", this.keeper.email, "--name", "deploy", "--route", "localhost/", "--method", "GET");
    const key = await open.command("key", "create", this.keeper.email);
    this.key = { access_key: key.access_key, secret_key: key.secret_key };
    const old = await open.command("key", "create", this.keeper.email, "--name", "old laptop");
    await open.command("key", "disable", old.access_key);
    this.busy = await open.signUp(newcomer("busy"));
    for (let n = 0; n < 52; n++) await open.session(this.busy);
  }

  async #fillStaffed() {
    const { staffed } = this;
    const people = Array.from({ length: 70 }, (_, n) => `person${n}@harbour.example:${HASH}`);
    await writeFile(path.join(staffed.folder, "people"), people.join("\n"));
    await staffed.command("user", "import", "--htpasswd", "people");
    const administrator = (this.administrator = await staffed.administrator());
    this.long = {
      email: "wilhelmina.alexandra.van.der.konstantinopel@department-of-oceanography.university.example",
      username: "wilhelmina-alexandra.van.der.konstantinopel-weatherington",
    };
    await staffed.command(
      ...["user", "add", this.long.email, "--username", this.long.username, "--password-hash", HASH],
      ...["--name", "Wilhelmina-Alexandra van der Konstantinopel-Weatherington", "--group", "ops", "--group", "staff"],
    );
    this.locked = { email: "person7@harbour.example", username: "person7" };
    await staffed.lock(this.locked.email);
    await staffed.lock("who@nowhere.example");
    await staffed.command("user", "disable", "person3@harbour.example", "--reason", "left in May");
    this.waiting = await staffed.signUp(newcomer("waiting"));
    await staffed.signUp(newcomer("busy"));
    this.declined = await staffed.signUp(newcomer("gone"));
    await staffed.command("user", "decline", this.declined.email, "--reason", "not one of us");
    await staffed.command("invite", "create", "--email", "jisoo@harbour.example", "--group", "staff", "--ttl", "30d");
    await staffed.command("invite", "create", "--count", "2");
    await staffed.command("invite", "create", "--email", "gone.away@harbour.example", "--send");
    await staffed.command("user", "set-groups", "person1@harbour.example", "gateway-admin", "--reason", "on duty in summer");
    for (let n = 0; n < 52; n++) await staffed.session(administrator);
    await staffed.command("key", "create", "person1@harbour.example", "--name", "Backup of the calendars, every night", "--ttl", "90d");
    await staffed.command("key", "create", "person1@harbour.example");
    const busy = { email: "busy.person@harbour.example", username: "busy.person" };
    await staffed.command("user", "add", busy.email, "--password-hash", HASH);
    await staffed.send("POST", "/.auth/forgot", { email: busy.email });
    await this.#mailsTried(administrator);
  }

  // Waits until the mail server has refused one mail and put off another.
  async #mailsTried(administrator) {
    const { staffed } = this;
    const cookie = await this.sessionOf("staffed", administrator);
    const patience = AbortSignal.timeout(30_000);
    for (;;) {
      const { text } = await staffed.send("GET", "/.auth/admin/mails", undefined, {
        cookie: `${cookie.name}=${cookie.value}`,
      });
      const { mails } = JSON.parse(text);
      if (mails.some(({ failed }) => failed) && mails.some(({ failed, attempt_count: count }) => !failed && count > 0)) return;
      if (patience.aborted) throw new Error(`the mails were not tried: ${text}`);
    }
  }

  async #fillOthers() {
    const { closed, invited, proving, strict } = this;
    const add = async (house, who, ...more) => {
      await house.command("user", "add", who.email, "--password-hash", HASH, ...more);
      return who;
    };
    this.warden = await add(invited, newcomer("warden"), "--group", "gateway-admin");
    this.steward = await add(proving, newcomer("steward"), "--group", "gateway-admin");
    this.disagreeing = await add(closed, newcomer("terms"));
    this.disabled = await add(closed, newcomer("left"));
    await closed.command("user", "disable", this.disabled.email);
    this.openInvitation = await invited.invite();
    this.boundInvitation = await invited.invite("--email", "jisoo@harbour.example");
    this.unproven = await proving.signUp(newcomer("unproven"));
    this.verifyLink = linkIn(await proving.mailTo(this.unproven.email));
    const forgetful = await add(proving, newcomer("forgetful"));
    await proving.send("POST", "/.auth/forgot", { email: forgetful.email });
    this.resetLink = linkIn(await proving.mailTo(forgetful.email));
    for (let n = 0; n < 3; n++) {
      await strict.send("POST", "/.auth/login", { login: "nobody", password: "wrong-1!" });
    }
  }

  // One session for each account, however often it is looked at.
  sessionOf(house, account) {
    const known = this.sessions.get(account.email) ?? this[house].session(account);
    this.sessions.set(account.email, known);
    return known;
  }

  async stop() {
    const { open, proving, staffed, invited, closed, strict, mute } = this;
    await Promise.all([open, proving, staffed, invited, closed, strict, mute].map((house) => house?.stop()));
    await this.mails?.stop();
  }
}
