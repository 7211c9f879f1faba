package com.example.ledger.core;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** What was booked; never changed, only added to. */
public class Journal {
    private final List<Entry> entries = new ArrayList<>();

    public synchronized void append(List<Entry> fresh) {
        long sum = fresh.stream().mapToLong(Entry::cents).sum();
        boolean oneCurrency = fresh.stream().map(Entry::currency).distinct().count() == 1;
        if (oneCurrency && sum != 0) {
            throw new LedgerException("UNBALANCED", "entries do not add up to zero: " + sum);
        }
        entries.addAll(fresh);
    }

    public synchronized List<Entry> where(Predicate<Entry> wanted) {
        return entries.stream().filter(wanted).toList();
    }

    public synchronized int size() {
        return entries.size();
    }
}
