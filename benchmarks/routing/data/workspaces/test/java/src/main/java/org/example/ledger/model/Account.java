package org.example.ledger.model;

import java.time.LocalDate;

public final class Account {
    public enum Kind { ASSET, LIABILITY, INCOME, EXPENSE, EQUITY }

    private final String number;
    private final Kind kind;
    private final String currency;
    private final LocalDate opened;
    private LocalDate closed;
    private boolean frozen;
    private Money limit;

    public Account(String number, Kind kind, String currency, LocalDate opened) {
        this.number = number;
        this.kind = kind;
        this.currency = currency;
        this.opened = opened;
        this.limit = Money.zero(currency);
    }

    public String number() { return number; }
    public Kind kind() { return kind; }
    public String currency() { return currency; }
    public LocalDate opened() { return opened; }
    public LocalDate closed() { return closed; }
    public boolean frozen() { return frozen; }
    public Money limit() { return limit; }

    public void close(LocalDate on) { this.closed = on; }
    public void freeze(boolean frozen) { this.frozen = frozen; }
    public void limit(Money limit) { this.limit = limit; }
}
