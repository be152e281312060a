// Runs the built program in a folder of its own, with every page and refusal within reach.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { mailTo } from "./mails.mjs";
import { freePort } from "./ports.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const program = process.env.VESTIBULE ?? path.join(target, "debug", "vestibule");

// Names one account of this run; a username that was given once is never given again.
let accounts = 0;
export function newcomer(prefix = "mina") {
  const username = `${prefix}${++accounts}`;
  return { username, email: `${username}@example.com`, password: "slate-Harbour_42" };
}

// bcrypt of every newcomer's password.
export const HASH = "$2b$10$abcdefghijklmnopqrstuugYrEDIDFuxdh2Ib2XsqUcLq1hVK8KkS";

export class Gateway {
  // `change` is laid over the configuration, section by section; `routes` come after its routes, as they are.
  static async start(change = {}, routes = "") {
    const folder = await mkdtemp(path.join(tmpdir(), "vestibule-browser-"));
    const port = await freePort();
    const closed = await freePort();
    await writeFile(path.join(folder, "vestibule.toml"), `${configuration(port, closed, change)}\n${routes}`);
    const child = spawn(program, ["serve", "--config", "vestibule.toml"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const gateway = new Gateway(folder, port, child);
    try {
      await gateway.#ready();
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return gateway;
  }

  #said = "";

  constructor(folder, port, child) {
    this.folder = folder;
    this.origin = `https://localhost:${port}`;
    this.child = child;
    this.ended = once(child, "exit").catch((error) => {
      this.#said += `\n${error.message}`;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        this.#said = (this.#said + text).slice(-20_000);
      });
    }
  }

  get authority() {
    return path.join(this.folder, "certs", "local-ca.pem");
  }

  async #ready() {
    const patience = AbortSignal.timeout(60_000);
    for (;;) {
      if (this.child.exitCode !== null || this.child.pid === undefined || patience.aborted) {
        throw new Error(`the gateway did not start:\n${this.#said}`);
      }
      try {
        const { status } = await this.send("GET", "/.auth/login");
        if (status === 200) return;
      } catch {
        // Not listening yet, or no authority written yet.
      }
      await pause(50);
    }
  }

  // One request as a program makes it, with TLS verified against the gateway's own authority.
  async send(method, address, body, headers = {}) {
    const ca = await readFile(this.authority);
    const request = https.request(this.origin + address, {
      method,
      ca,
      agent: false,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }), ...headers },
    });
    request.end(body && JSON.stringify(body));
    const [response] = await once(request, "response");
    let text = "";
    for await (const part of response) text += part;
    return { status: response.statusCode, headers: response.headers, text };
  }

  // What a browser carries that has signed in.
  async session(account, headers = {}) {
    const { email, password } = account;
    const { status, text, headers: answer } = await this.send("POST", "/.auth/login", { login: email, password, agree: true }, headers);
    if (status !== 200) throw new Error(`sign-in: ${status} ${text}`);
    const [name, value] = answer["set-cookie"][0].split(";")[0].split(/=(.*)/s);
    return { name, value, url: this.origin, secure: true, httpOnly: true, sameSite: "Lax" };
  }

  async signUp(account, headers = {}) {
    const fields = { ...account, password_confirm: account.password, agree: true };
    const { status, text } = await this.send("POST", "/.auth/signup", fields, headers);
    if (status !== 201) throw new Error(`signup: ${status} ${text}`);
    return account;
  }

  // A command, as an administrator on the machine gives it; answers with the document that it prints.
  async command(...words) {
    const all = [...words, "--config", "vestibule.toml", "--json"];
    const { stdout } = await promisify(execFile)(program, all, { cwd: this.folder });
    return JSON.parse(stdout);
  }

  // The link of a new invitation.
  async invite(...words) {
    const { link } = await this.command("invite", "create", ...words);
    return link;
  }

  // Somebody in the administrators' group.
  async administrator() {
    const account = await this.signUp(newcomer("root"));
    await this.command("user", "approve", account.email);
    await this.command("user", "set-groups", account.email, "gateway-admin");
    return account;
  }

  mailTo(address, count, kind) {
    return mailTo(path.join(this.folder, "data", "outbox"), address, count, kind);
  }

  // Fails as often as locks the name, and once more to see that it is locked.
  async lock(login) {
    const statuses = [];
    for (let attempt = 1; attempt <= 12; attempt++) {
      const { status } = await this.send("POST", "/.auth/login", { login, password: "wrong-1!" });
      statuses.push(status);
    }
    return statuses;
  }

  async stop() {
    if (this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGTERM");
      const killed = setTimeout(() => this.child.kill("SIGKILL"), 30_000);
      await this.ended;
      clearTimeout(killed);
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

// `closed` is a port where nobody listens.
function configuration(port, closed, change) {
  const sections = {
    listen: { https: [`127.0.0.1:${port}`], ops: "" },
    signup: { mode: "open", terms_url: `https://localhost:${port}/terms`, terms_version: "2026-05" },
    login: { username: true, change_username: true, iam: true },
    password: { bcrypt_cost: 10 },
    lockout: { address_failures: 100000 },
    branding: { contact: "help@example.com" },
  };
  for (const [name, keys] of Object.entries(change)) sections[name] = { ...sections[name], ...keys };
  const lines = Object.entries(sections).map(
    ([name, keys]) => `[${name}]\n${Object.entries(keys).map(([key, value]) => `${key} = ${toml(value)}\n`).join("")}`,
  );
  return `public_url = "https://localhost:${port}"

${lines.join("\n")}
[[route]]
path = "/"
allow = "authenticated"
upstream = "demo:"

[[route]]
path = "/terms"
allow = "public"
upstream = "demo:"

[[route]]
path = "/operators"
allow = { groups = ["operators"] }
upstream = "demo:"

[[route]]
path = "/down"
allow = "authenticated"
upstream = "http://127.0.0.1:${closed}"
`;
}

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([key, inner]) => `${key} = ${toml(inner)}`).join(", ")} }`;
}
