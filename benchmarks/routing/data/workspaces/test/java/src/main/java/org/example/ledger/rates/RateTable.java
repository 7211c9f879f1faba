package org.example.ledger.rates;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.LocalDate;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.example.ledger.model.Money;

/** Rates against the euro by day. */
public final class RateTable {
    private final Map<String, NavigableMap<LocalDate, BigDecimal>> rates = new HashMap<>();

    public void put(String currency, LocalDate day, BigDecimal rate) {
        rates.computeIfAbsent(currency, c -> new TreeMap<>()).put(day, rate);
    }

    public BigDecimal rate(String currency, LocalDate day) {
        if (currency.equals("EUR")) {
            return BigDecimal.ONE;
        }
        NavigableMap<LocalDate, BigDecimal> table = rates.get(currency);
        Map.Entry<LocalDate, BigDecimal> entry = table == null ? null : table.floorEntry(day);
        if (entry == null) {
            throw new IllegalStateException("no rate for " + currency + " on " + day);
        }
        return entry.getValue();
    }

    public Money convert(Money amount, String currency, LocalDate day) {
        BigDecimal euros = BigDecimal.valueOf(amount.minor()).divide(rate(amount.currency(), day), 12, RoundingMode.HALF_EVEN);
        long minor = euros.multiply(rate(currency, day)).setScale(0, RoundingMode.HALF_EVEN).longValueExact();
        return new Money(minor, currency);
    }
}
