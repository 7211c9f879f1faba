import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Dispatcher } from "./dispatcher.js";
import { preflight } from "./middleware/cors.js";
import type { GatewayRequest } from "./types.js";
import { REQUEST_ID } from "./util/headers.js";

async function read(message: IncomingMessage): Promise<GatewayRequest> {
  const parts: Buffer[] = [];
  for await (const part of message) {
    parts.push(part as Buffer);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    headers[name] = Array.isArray(value) ? value.join(", ") : (value ?? "");
  }
  return {
    id: headers[REQUEST_ID] ?? randomUUID(),
    method: message.method ?? "GET",
    path: message.url ?? "/",
    headers,
    body: parts.length ? new Uint8Array(Buffer.concat(parts)) : undefined,
    remote: message.socket.remoteAddress ?? "",
    received: Date.now(),
  };
}

export function serve(dispatcher: Dispatcher, port: number): Server {
  const server = createServer(async (message, reply) => {
    const request = await read(message);
    const response = preflight(request, { origins: ["*"], maxAge: 600 }) ?? (await dispatcher.handle(request));
    reply.writeHead(response.status, response.headers);
    reply.end(response.body);
  });
  return server.listen(port);
}
