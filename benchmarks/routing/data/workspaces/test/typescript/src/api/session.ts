import type { FastifyReply, FastifyRequest } from "fastify";
import { createHmac, timingSafeEqual } from "node:crypto";

const SECRET = process.env.ALMANAC_SECRET ?? "";

export function sign(user: string, expires: number): string {
  const body = `${user}.${expires}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("hex")}`;
}

export function verify(token: string, now: number): string | null {
  const at = token.lastIndexOf(".");
  const body = token.slice(0, at);
  const expected = createHmac("sha256", SECRET).update(body).digest();
  const given = Buffer.from(token.slice(at + 1), "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const [user, expires] = body.split(".");
  return Number(expires) > now ? user : null;
}

export async function requireUser(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
  const user = verify(token, Date.now() / 1000);
  if (!user) await reply.code(401).send({ error: "sign in first" });
  else (request as FastifyRequest & { user?: string }).user = user;
}
