package com.example.ledger.fraud;

import com.example.ledger.account.Account;
import com.example.ledger.core.LedgerService;
import com.example.ledger.core.Transfer;
import java.time.Duration;

/** Scores how odd a transfer looks. */
public class FraudCheck {
    private final LedgerService ledger;

    public FraudCheck(LedgerService ledger) {
        this.ledger = ledger;
    }

    public int score(Account from, Transfer transfer) {
        int points = 0;
        long recent = ledger.journal().where(entry -> entry.iban().equals(from.getIban())
                && Duration.between(entry.booked(), transfer.requested()).toMinutes() < 60).size();
        if (recent > 10) {
            points += 30;
        }
        if (transfer.cents() > from.getBalance() * 9 / 10) {
            points += 20;
        }
        if (ledger.journal().where(entry -> entry.iban().equals(transfer.to())).isEmpty()) {
            points += 15;
        }
        if (transfer.instant() && transfer.cents() > 200_000) {
            points += 25;
        }
        return points;
    }
}
