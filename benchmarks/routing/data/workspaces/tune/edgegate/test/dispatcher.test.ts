import { expect, test } from "vitest";
import { Dispatcher } from "../src/dispatcher.js";
import { Logger } from "../src/util/log.js";

const config = {
  port: 0,
  jwtSecret: "s",
  apiKeys: {},
  upstreams: [],
  routes: [{ prefix: "/a", upstreams: ["one"], timeout: "1s", retries: 0, auth: "none" as const }],
};

test("answers 404 without a route", async () => {
  const dispatcher = new Dispatcher(config, new Logger("test", "error"));
  const reply = await dispatcher.handle({
    id: "1",
    method: "GET",
    path: "/b",
    headers: {},
    remote: "::1",
    received: 0,
  });
  expect(reply.status).toBe(404);
});
