// Ports of this machine.

import { randomInt } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

// Those below the ports that the system gives to connections, which could take one before its server listens.
const [FIRST, LAST] = [20_000, 32_767];

const given = new Set();

export async function freePort() {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1);
    if (given.has(port)) continue;
    given.add(port);
    const server = net.createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}

// Waits until somebody listens.
export async function listening(port) {
  const patience = AbortSignal.timeout(60_000);
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (patience.aborted) throw error;
      await pause(50);
    } finally {
      socket.destroy();
    }
  }
}
