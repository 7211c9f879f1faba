import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CalendarStore } from "../store/calendarStore";
import { firstGap } from "../freebusy";
import { requireUser } from "./session";

const Range = z.object({ from: z.coerce.number(), to: z.coerce.number() });

export function routes(app: FastifyInstance, store: CalendarStore): void {
  app.addHook("preHandler", requireUser);

  app.get("/events", async (request) => {
    const { from, to } = Range.parse(request.query);
    return store.range(from, to);
  });

  app.get("/gap", async (request, reply) => {
    const { from, to } = Range.parse(request.query);
    const at = firstGap(store.busy(from, to), from, to, 1800);
    if (at === null) return reply.code(404).send({ error: "no free half hour" });
    return { at };
  });

  app.post("/import/:calendar", async (request) => {
    const { calendar } = request.params as { calendar: string };
    return store.importIcs(String(request.body), calendar);
  });

  app.delete("/events/:uid", async (request, reply) => {
    const { uid } = request.params as { uid: string };
    store.remove(uid, null, "all");
    return reply.code(204).send();
  });
}
