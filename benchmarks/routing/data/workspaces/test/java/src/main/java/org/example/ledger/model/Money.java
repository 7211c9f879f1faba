package org.example.ledger.model;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** An amount in one currency, in its smallest unit. */
public record Money(long minor, String currency) implements Comparable<Money> {

    public static Money of(String amount, String currency) {
        BigDecimal value = new BigDecimal(amount).setScale(2, RoundingMode.HALF_EVEN);
        return new Money(value.movePointRight(2).longValueExact(), currency);
    }

    public static Money zero(String currency) {
        return new Money(0, currency);
    }

    public Money plus(Money other) {
        check(other);
        return new Money(Math.addExact(minor, other.minor), currency);
    }

    public Money minus(Money other) {
        check(other);
        return new Money(Math.subtractExact(minor, other.minor), currency);
    }

    public Money negated() {
        return new Money(Math.negateExact(minor), currency);
    }

    public boolean isNegative() {
        return minor < 0;
    }

    @Override
    public int compareTo(Money other) {
        check(other);
        return Long.compare(minor, other.minor);
    }

    private void check(Money other) {
        if (!currency.equals(other.currency)) {
            throw new IllegalArgumentException(currency + " and " + other.currency + " do not mix");
        }
    }
}
