package com.example.ledger.fx;

import com.example.ledger.core.LedgerException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Exchange rates against the base currency. */
public class Rates {
    private final Map<String, BigDecimal> perBase = new ConcurrentHashMap<>();

    public void put(String currency, BigDecimal rate) {
        perBase.put(currency, rate);
    }

    public long convert(long cents, String from, String to) {
        if (from.equals(to)) {
            return cents;
        }
        BigDecimal source = perBase.get(from);
        BigDecimal target = perBase.get(to);
        if (source == null || target == null) {
            throw new LedgerException("NO_RATE", "no rate from " + from + " to " + to);
        }
        return BigDecimal.valueOf(cents)
                .multiply(target)
                .divide(source, 0, RoundingMode.HALF_EVEN)
                .longValueExact();
    }
}
