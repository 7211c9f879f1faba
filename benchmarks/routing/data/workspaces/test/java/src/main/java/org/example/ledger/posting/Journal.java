package org.example.ledger.posting;

import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.example.ledger.model.Entry;
import org.example.ledger.model.Money;

/** All entries, in the order in which they were booked. */
public final class Journal {
    private final List<Entry> entries = new ArrayList<>();
    private final Map<String, List<Entry>> byAccount = new HashMap<>();
    private final Map<String, List<Entry>> byBatch = new HashMap<>();
    private final Ledger ledger;

    Journal(Ledger ledger) {
        this.ledger = ledger;
    }

    void append(Entry entry) {
        entries.add(entry);
        byAccount.computeIfAbsent(entry.account(), a -> new ArrayList<>()).add(entry);
        byBatch.computeIfAbsent(entry.batch(), b -> new ArrayList<>()).add(entry);
    }

    long nextSequence() {
        return entries.size() + 1L;
    }

    public List<Entry> of(String account) {
        return List.copyOf(byAccount.getOrDefault(account, List.of()));
    }

    public List<Entry> batch(String id) {
        return List.copyOf(byBatch.getOrDefault(id, List.of()));
    }

    public Money balance(String account, LocalDate until) {
        Money sum = Money.zero(ledger.account(account).currency());
        for (Entry entry : byAccount.getOrDefault(account, List.of())) {
            if (!entry.valueDate().isAfter(until)) {
                sum = sum.plus(entry.amount());
            }
        }
        return sum;
    }
}
