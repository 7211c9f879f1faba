export type Level = "debug" | "info" | "warn" | "error";

const ORDER: Level[] = ["debug", "info", "warn", "error"];

export class Logger {
  constructor(
    private readonly name: string,
    private readonly level: Level = "info",
  ) {}

  log(level: Level, message: string, fields: Record<string, unknown> = {}): void {
    if (ORDER.indexOf(level) < ORDER.indexOf(this.level)) {
      return;
    }
    process.stderr.write(JSON.stringify({ at: Date.now(), level, name: this.name, message, ...fields }) + "\n");
  }

  child(name: string): Logger {
    return new Logger(`${this.name}.${name}`, this.level);
  }
}
