import { loadConfig } from "./config.js";
import { Dispatcher } from "./dispatcher.js";
import { serve } from "./server.js";
import { Logger } from "./util/log.js";

const config = loadConfig(process.argv[2] ?? "edgegate.json");
const log = new Logger("edgegate", process.env.DEBUG ? "debug" : "info");
const dispatcher = new Dispatcher(config, log);
dispatcher.health.start(5000);
const server = serve(dispatcher, config.port);

process.on("SIGTERM", () => {
  dispatcher.health.stop();
  server.close();
});
