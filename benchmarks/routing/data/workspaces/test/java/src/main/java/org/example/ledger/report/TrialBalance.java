package org.example.ledger.report;

import java.time.LocalDate;
import java.util.HashMap;
import java.util.Map;
import org.example.ledger.model.Account;
import org.example.ledger.model.Money;
import org.example.ledger.posting.Ledger;
import org.example.ledger.util.Columns;

/** Sums of all accounts, which must be zero in every currency. */
public final class TrialBalance {
    private final Ledger ledger;

    public TrialBalance(Ledger ledger) {
        this.ledger = ledger;
    }

    public boolean balanced(LocalDate until) {
        Map<String, Long> sums = new HashMap<>();
        for (Account account : ledger.accounts()) {
            Money balance = ledger.journal().balance(account.number(), until);
            sums.merge(balance.currency(), balance.minor(), Long::sum);
        }
        return sums.size() > 1 || sums.values().stream().allMatch(sum -> sum == 0);
    }

    public String print(LocalDate until) {
        StringBuilder out = new StringBuilder();
        for (Account account : ledger.accounts()) {
            Money balance = ledger.journal().balance(account.number(), until);
            out.append(Columns.left(account.number(), 12));
            out.append(Columns.right(String.valueOf(balance.minor()), 16)).append(' ').append(balance.currency()).append('\n');
        }
        return out.toString();
    }
}
