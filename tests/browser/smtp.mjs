// A mail server of a few lines (RFC 5321): it takes mails, refuses whoever is `gone` for good and puts off who is `busy`.

import { once } from "node:events";
import net from "node:net";

export class MailServer {
  static async start() {
    const server = net.createServer((socket) => new Conversation(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new MailServer(server);
  }

  constructor(server) {
    this.server = server;
    this.url = `smtp://127.0.0.1:${server.address().port}`;
  }

  stop() {
    this.server.close();
  }
}

class Conversation {
  #rest = "";
  #inMail = false;

  constructor(socket) {
    this.socket = socket.setEncoding("latin1").on("error", () => {});
    socket.on("data", (text) => this.#read(text));
    this.#say("220 mail.example");
  }

  #say(line) {
    this.socket.write(`${line}\r\n`);
  }

  #read(text) {
    const lines = (this.#rest + text).split("\r\n");
    this.#rest = lines.pop();
    for (const line of lines) this.#answer(line);
  }

  #answer(line) {
    if (this.#inMail) {
      this.#inMail = line !== ".";
      if (!this.#inMail) this.#say("250 kept");
    } else if (/^RCPT TO:<gone/i.test(line)) this.#say("550 5.1.1 There is no mailbox of this name");
    else if (/^RCPT TO:<busy/i.test(line)) this.#say("451 4.3.0 Try again later");
    else if (/^DATA/i.test(line)) {
      this.#inMail = true;
      this.#say("354 go on");
    } else if (/^QUIT/i.test(line)) this.socket.end("221 bye\r\n");
    else this.#say("250 mail.example");
  }
}
