package com.example.ledger.core;

import com.example.ledger.account.Account;
import com.example.ledger.account.AccountKind;
import com.example.ledger.util.Constants;
import java.time.Duration;
import java.time.Instant;

/** How much an account may move in a day. */
public class Limits {
    private final LedgerService ledger;

    public Limits(LedgerService ledger) {
        this.ledger = ledger;
    }

    public long left(Account account, Instant now) {
        long spent = ledger.journal()
                .where(entry -> entry.iban().equals(account.getIban())
                        && entry.cents() < 0
                        && Duration.between(entry.booked(), now).toHours() < 24)
                .stream()
                .mapToLong(Entry::cents)
                .sum();
        long limit = account.getKind() == AccountKind.BUSINESS
                ? Constants.DAILY_LIMIT_CENTS * 10
                : Constants.DAILY_LIMIT_CENTS;
        return limit + spent;
    }
}
