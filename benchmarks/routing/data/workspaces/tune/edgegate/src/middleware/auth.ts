import { createHmac, timingSafeEqual } from "node:crypto";
import type { Dispatcher } from "../dispatcher.js";
import { Unauthorized } from "../errors.js";
import type { Claims, GatewayRequest } from "../types.js";

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
}

export function verifyJwt(token: string, secret: string): Claims {
  const [header, payload, signature] = token.split(".");
  if (!header || !payload || !signature) {
    throw new Unauthorized("malformed token");
  }
  const expected = createHmac("sha256", secret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new Unauthorized("bad signature");
  }
  const claims = decode(payload) as Claims;
  if (claims.exp * 1000 < Date.now()) {
    throw new Unauthorized("expired");
  }
  return claims;
}

export function tenantOfKey(request: GatewayRequest, keys: Record<string, string>, dispatcher: Dispatcher): string {
  const key = request.headers["x-api-key"];
  if (!key || !(key in keys)) {
    dispatcher.count("auth_rejected");
    throw new Unauthorized("unknown key");
  }
  return keys[key];
}
