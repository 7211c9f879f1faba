package com.example.ledger.report;

import com.example.ledger.core.Entry;
import com.example.ledger.core.LedgerService;
import com.example.ledger.util.Strings;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.util.List;

/** Account statements by month. */
public class Statements {
    private final LedgerService ledger;

    public Statements(LedgerService ledger) {
        this.ledger = ledger;
    }

    public List<Entry> of(String iban, YearMonth month) {
        return ledger.journal().where(entry -> entry.iban().equals(iban)
                && YearMonth.from(entry.booked().atZone(ZoneOffset.UTC)).equals(month));
    }

    public String print(String iban, YearMonth month) {
        StringBuilder text = new StringBuilder("Statement of " + Strings.mask(iban) + " for " + month + "\n");
        long sum = 0;
        for (Entry entry : of(iban, month)) {
            text.append(String.format("%s %12.2f %s%n", entry.booked(), entry.cents() / 100.0, entry.text()));
            sum += entry.cents();
        }
        return text.append(String.format("sum %12.2f%n", sum / 100.0)).toString();
    }
}
