// Runs the built program in a folder of its own, with every page and refusal within reach.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const program = process.env.VESTIBULE ?? path.join(target, "debug", "vestibule");

// Names one account of this run; a username that was given once is never given again.
let accounts = 0;
export function newcomer(prefix = "mina") {
  const username = `${prefix}${++accounts}`;
  return { username, email: `${username}@example.com`, password: "slate-Harbour_42" };
}

export class Gateway {
  static async start() {
    const folder = await mkdtemp(path.join(tmpdir(), "vestibule-browser-"));
    const port = await freePort();
    const closed = await freePort();
    await writeFile(path.join(folder, "vestibule.toml"), configuration(port, closed));
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
  async send(method, address, body) {
    const ca = await readFile(this.authority);
    const request = https.request(this.origin + address, {
      method,
      ca,
      agent: false,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
    });
    request.end(body && JSON.stringify(body));
    const [response] = await once(request, "response");
    let text = "";
    for await (const part of response) text += part;
    return { status: response.statusCode, headers: response.headers, text };
  }

  async signUp(account) {
    const { status, text } = await this.send("POST", "/.auth/signup", {
      ...account,
      password_confirm: account.password,
      agree: true,
    });
    if (status !== 201) throw new Error(`signup: ${status} ${text}`);
    return account;
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

function configuration(port, closed) {
  return `
public_url = "https://localhost:${port}"

[listen]
https = ["127.0.0.1:${port}"]
ops = ""

[signup]
mode = "open"
terms_url = "https://localhost:${port}/terms"

[login]
username = true

[password]
bcrypt_cost = 10

[lockout]
address_failures = 100000

[branding]
contact = "help@example.com"

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

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
