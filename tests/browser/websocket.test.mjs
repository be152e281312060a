// WebSockets of a page, over the connection of HTTP/2 that the browser has already (RFC 8441) and over one of HTTP/1.1.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Browser } from "./browser.mjs";
import { Gateway, newcomer } from "./gateway.mjs";
import { enter } from "./pages.mjs";

// What a server appends to a key (RFC 6455, section 1.3).
const SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// An application that sends each message back, and says whom it was told of.
class Echo {
  handshakes = [];
  closed = [];

  static async start() {
    const echo = new Echo();
    echo.server = http.createServer((_, response) => response.end("a page"));
    echo.server.on("upgrade", (request, socket) => echo.#switch(request, socket));
    echo.server.listen(0, "127.0.0.1");
    await once(echo.server, "listening");
    echo.url = `http://127.0.0.1:${echo.server.address().port}`;
    return echo;
  }

  #switch({ httpVersion, method, url, headers }, socket) {
    this.handshakes.push({ httpVersion, method, url, headers });
    if (url === "/socket/refused") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    const accept = createHash("sha1").update(headers["sec-websocket-key"] + SUFFIX).digest("base64");
    const subprotocol = headers["sec-websocket-protocol"]?.split(", ").at(-1);
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\n${subprotocol ? `Sec-WebSocket-Protocol: ${subprotocol}\r\n` : ""}\r\n`,
    );
    let pending = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => this.closed.push(url));
    socket.on("data", (data) => {
      pending = Buffer.concat([pending, data]);
      for (let taken; (taken = frame(pending)); pending = pending.subarray(taken.length)) {
        socket.write(taken.answer);
        if (taken.closes) socket.end();
      }
    });
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

// The first whole frame (RFC 6455, section 5.2): its length, and the same frame as a server sends it, without a mask.
function frame(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const head = { 126: 4, 127: 10 }[short] ?? 2;
  if (bytes.length < head + 4) return undefined;
  const size = { 126: () => bytes.readUInt16BE(2), 127: () => Number(bytes.readBigUInt64BE(2)) }[short]?.() ?? short;
  const length = head + 4 + size;
  if (bytes.length < length) return undefined;
  const mask = bytes.subarray(head, head + 4);
  const payload = Buffer.from(bytes.subarray(head + 4, length));
  for (let at = 0; at < size; at++) payload[at] ^= mask[at % 4];
  const unmasked = Buffer.from(bytes.subarray(0, head));
  unmasked[1] &= 0x7f;
  return { length, answer: Buffer.concat([unmasked, payload]), closes: (bytes[0] & 0xf) === 8 };
}

// Opens a WebSocket in the page, sends messages of these sizes once it is open, and tells what came of it.
function talk(page, address, { sizes = [], subprotocols = [], close = true } = {}) {
  return page.evaluate(
    ([address, sizes, subprotocols, close]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address.replace(/^https/, "wss"), subprotocols);
        const told = { opened: false, received: [] };
        window.socket = socket;
        window.ended = new Promise((ended) => {
          socket.onclose = ({ code, wasClean }) => {
            ended({ code, wasClean });
            resolve({ ...told, code, wasClean });
          };
        });
        socket.onopen = () => {
          told.opened = true;
          told.protocol = socket.protocol;
          for (const size of sizes) socket.send("x".repeat(size));
          if (!sizes.length && close) socket.close(1000);
        };
        socket.onmessage = ({ data }) => {
          told.received.push(data.length);
          if (told.received.length < sizes.length) return;
          if (close) socket.close(1000);
          else resolve(told);
        };
      }),
    [address, sizes, subprotocols, close],
  );
}

for (const over of ["HTTP/2", "HTTP/1.1"]) {
  describe(`over ${over}`, () => {
    let application, gateway, browser, member;

    // The lines of the access log about a path, once there are so many.
    async function logged(path_, count) {
      const patience = AbortSignal.timeout(20_000);
      for (;;) {
        const log = await readFile(path.join(gateway.folder, "access.jsonl"), "utf8");
        const lines = log.split("\n").filter(Boolean).map(JSON.parse).filter((line) => line.path === path_);
        if (lines.length >= count || patience.aborted) return lines;
        await pause(50);
      }
    }

    before(async () => {
      application = await Echo.start();
      const log = { access_file: "access.jsonl", access_fields: ["protocol"] };
      const routes = { "/socket": "authenticated", "/open": "public" };
      const route = ([path_, allow]) => `[[route]]\npath = "${path_}"\nallow = "${allow}"\nupstream = "${application.url}"\n`;
      gateway = await Gateway.start({ log }, Object.entries(routes).map(route).join("\n"));
      browser = await Browser.start([gateway.authority], over === "HTTP/2" ? [] : ["--disable-http2"]);
      member = await gateway.signUp(newcomer("socket"));
    });

    after(async () => {
      await browser?.stop();
      await gateway?.stop();
      application?.stop();
    });

    it("messages of all sizes come back, and the application is asked as ever", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        await enter(page, member, "/socket/page");
        const sizes = [0, 1, 125, 126, 65_535, 65_536, 3_000_000, 5];
        const told = await talk(page, `${gateway.origin}/socket/echo?q=1`, { sizes, subprotocols: ["chat", "superchat"] });
        assert.deepEqual(told, { opened: true, protocol: "superchat", received: sizes, code: 1000, wasClean: true });
        const { httpVersion, method, url, headers } = application.handshakes.at(-1);
        assert.deepEqual([httpVersion, method, url], ["1.1", "GET", "/socket/echo?q=1"]);
        assert.equal(headers["remote-user"], member.username);
        assert.equal(headers.origin, gateway.origin);
        assert.equal(headers.cookie, undefined);
        const [line] = await logged("/socket/echo", 1);
        assert.deepEqual([line.protocol, line.status, line.method], [over, over === "HTTP/2" ? 200 : 101, "GET"]);
        assert.equal(line.user, member.username);
      }));

    it("many at once are told apart", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        await enter(page, member, "/socket/page");
        const each = Array.from({ length: 30 }, (_, number) => talk(page, `${gateway.origin}/socket/many`, { sizes: [number, 100 + number] }));
        for (const [number, told] of (await Promise.all(each)).entries()) {
          assert.deepEqual(told.received, [number, 100 + number]);
          assert.equal(told.code, 1000);
        }
        for (const line of await logged("/socket/many", 30)) assert.equal(line.protocol, over);
      }));

    it("a visitor who is not signed in gets none, and neither does another site's page", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        const before = application.handshakes.length;
        await page.goto("/open");
        const address = `${gateway.origin}/socket/none`;
        assert.deepEqual(await talk(page, address), { opened: false, received: [], code: 1006, wasClean: false });
        await enter(page, member, "/socket/page");
        // To which the browser gives no cookie.
        const elsewhere = http.createServer((_, response) => response.end("<!doctype html>"));
        elsewhere.listen(0, "127.0.0.1");
        await once(elsewhere, "listening");
        await page.goto(`http://localhost:${elsewhere.address().port}/`);
        assert.deepEqual(await talk(page, address), { opened: false, received: [], code: 1006, wasClean: false });
        elsewhere.closeAllConnections();
        elsewhere.close();
        assert.deepEqual((await logged("/socket/none", 2)).map(({ status }) => status), [401, 401]);
        assert.equal(application.handshakes.length, before);
      }));

    it("an application that refuses, and a page where there is no application, open none", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        await enter(page, member, "/socket/page");
        for (const address of ["/socket/refused", "/.auth/account", "/"]) {
          const told = await talk(page, gateway.origin + address);
          assert.deepEqual(told, { opened: false, received: [], code: 1006, wasClean: false }, address);
        }
        assert.equal((await logged("/socket/refused", 1))[0].status, 403);
      }));

    it("it ends within five seconds of its session, and the application is told", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        await enter(page, member, "/socket/page");
        const told = await talk(page, `${gateway.origin}/socket/session`, { sizes: [7], close: false });
        assert.deepEqual(told.received, [7]);
        const began = Date.now();
        await page.evaluate(() => fetch("/.auth/logout", { method: "POST", headers: { accept: "application/json" } }));
        assert.equal((await page.evaluate(() => window.ended)).code, 1006);
        assert.ok(Date.now() - began < 5_000);
        while (!application.closed.includes("/socket/session")) await pause(20);
      }));

    it("a gateway that stops says that it goes away", () =>
      browser.visit({ origin: gateway.origin }, async (page) => {
        await enter(page, member, "/socket/page");
        await talk(page, `${gateway.origin}/socket/stop`, { sizes: [7], close: false });
        const ended = page.evaluate(() => window.ended);
        gateway.child.kill("SIGTERM");
        assert.deepEqual(await ended, { code: 1001, wasClean: true });
        await gateway.ended;
      }));
  });
}
