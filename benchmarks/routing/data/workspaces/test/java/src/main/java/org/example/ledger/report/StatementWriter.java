package org.example.ledger.report;

import java.time.LocalDate;
import org.example.ledger.model.Entry;
import org.example.ledger.model.Money;
import org.example.ledger.posting.Ledger;
import org.example.ledger.util.Columns;

public final class StatementWriter {
    private final Ledger ledger;

    public StatementWriter(Ledger ledger) {
        this.ledger = ledger;
    }

    public String write(String number, LocalDate from, LocalDate to) {
        StringBuilder out = new StringBuilder("Account ").append(number).append('\n');
        Money balance = ledger.journal().balance(number, from.minusDays(1));
        out.append(Columns.left("carried over", 40)).append(Columns.right(amount(balance), 14)).append('\n');
        for (Entry entry : ledger.journal().of(number)) {
            if (entry.valueDate().isBefore(from) || entry.valueDate().isAfter(to)) {
                continue;
            }
            balance = balance.plus(entry.amount());
            out.append(Columns.left(entry.valueDate() + " " + entry.text(), 40));
            out.append(Columns.right(amount(entry.amount()), 14)).append('\n');
        }
        out.append(Columns.left("balance", 40)).append(Columns.right(amount(balance), 14)).append('\n');
        return out.toString();
    }

    private static String amount(Money money) {
        return "%d.%02d".formatted(money.minor() / 100, Math.abs(money.minor() % 100));
    }
}
