// Mails as they arrive: in an outbox, or at a mail server.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { freePort, listening } from "./ports.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const python = path.join(here, "../.venv/bin/python");

// aiosmtpd, in a process and a folder of its own.
export class MailServer {
  static async start() {
    const folder = await mkdtemp(path.join(tmpdir(), "vestibule-mails-"));
    const port = await freePort();
    const server = new MailServer(folder, port);
    await server.refuse({});
    await server.#start(port);
    return server;
  }

  constructor(folder, port) {
    this.folder = folder;
    this.url = `smtp://127.0.0.1:${port}`;
  }

  async #start(port) {
    const words = ["-B", "-m", "aiosmtpd", "-n", "-l", `127.0.0.1:${port}`];
    this.child = spawn(python, [...words, "-c", "mail_server.Maildir", path.join(this.folder, "mails")], {
      cwd: here,
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.ended = once(this.child, "exit");
    await Promise.race([
      listening(port),
      this.ended.then(() => Promise.reject(new Error("the mail server did not start"))),
    ]);
  }

  // From now on these addresses are answered so, and no others are refused.
  async refuse(answers) {
    const lines = Object.entries(answers).map(([address, answer]) => `${address} ${answer}\n`);
    const file = path.join(this.folder, "refused");
    await writeFile(`${file}.new`, lines.join(""));
    await rename(`${file}.new`, file);
  }

  mailTo(address, count, kind) {
    return mailTo(path.join(this.folder, "mails", "new"), address, count, kind);
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}

// The text, or the HTML, of the `count`th mail to an address, once it is in the folder.
export async function mailTo(folder, address, count = 1, kind = "plain") {
  const patience = AbortSignal.timeout(60_000);
  for (;;) {
    const own = (await mailsIn(folder)).filter((mail) => mail.includes(`\nTo: ${address}\n`));
    if (own.length >= count) return partOf(own[count - 1], kind);
    if (patience.aborted) throw new Error(`${own.length} mails to ${address}, not ${count}`);
    await pause(50);
  }
}

// The link of a mail, which stands whole on a line of its own, before the address of the house in the signature.
export function linkIn(mail) {
  const link = mail.split("\n").find((line) => line.startsWith("https://"));
  if (!link?.includes("/.auth/")) throw new Error(`no link: ${mail}`);
  return link;
}

// The oldest first, as their names tell. One that is still being written has another name in a moment.
async function mailsIn(folder) {
  const isWhole = (name) => !name.startsWith(".") && !name.endsWith(".draft");
  const names = (await readdir(folder).catch(() => [])).filter(isWhole);
  const { compare } = new Intl.Collator("en", { numeric: true });
  const texts = names.sort(compare).map((name) => readFile(path.join(folder, name), "latin1"));
  return (await Promise.all(texts)).map((text) => text.replaceAll("\r\n", "\n"));
}

// The text of a part of a mail (RFC 2045, sections 6.7 and 6.8).
function partOf(mail, kind) {
  const part = mail.slice(mail.indexOf(`Content-Type: text/${kind}`));
  const [head, ...rest] = part.split("\n\n");
  const body = rest.join("\n\n").split("\n--")[0];
  const encoding = /Content-Transfer-Encoding: (\S+)/i.exec(head)?.[1].toLowerCase();
  if (encoding === "base64") return Buffer.from(body, "base64").toString().replaceAll("\r\n", "\n");
  if (encoding !== "quoted-printable") return body;
  const bytes = body
    .replaceAll("=\n", "")
    .replace(/=([0-9A-F]{2})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return Buffer.from(bytes, "latin1").toString();
}
