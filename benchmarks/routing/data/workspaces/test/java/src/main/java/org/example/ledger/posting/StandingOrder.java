package org.example.ledger.posting;

import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.example.ledger.model.Batch;
import org.example.ledger.model.Money;

/** A transfer that comes back every so many months. */
public final class StandingOrder {
    private final String id;
    private final String from;
    private final String to;
    private final Money amount;
    private final LocalDate first;
    private final int months;
    private LocalDate done;

    public StandingOrder(String id, String from, String to, Money amount, LocalDate first, int months) {
        this.id = id;
        this.from = from;
        this.to = to;
        this.amount = amount;
        this.first = first;
        this.months = months;
    }

    public LocalDate due() {
        if (done == null) {
            return first;
        }
        long rounds = ChronoUnit.MONTHS.between(first, done) / months + 1;
        return first.plusMonths(rounds * months);
    }

    public boolean run(Ledger ledger, LocalDate today) {
        LocalDate due = due();
        if (due.isAfter(today)) {
            return false;
        }
        try {
            ledger.post(new Batch(id + "-" + due, due, List.of(
                    new Batch.Line(from, amount, "standing order " + id),
                    new Batch.Line(to, amount.negated(), "standing order " + id)), null, "orders"));
        } catch (PostingException e) {
            if (e.code().equals("funds")) {
                return false;
            }
            throw e;
        }
        done = due;
        return true;
    }
}
