package org.example.ledger;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.example.ledger.model.Money;
import org.junit.jupiter.api.Test;

class MoneyTest {
    @Test
    void addsWithinOneCurrency() {
        assertEquals(Money.of("3.10", "EUR"), Money.of("1.05", "EUR").plus(Money.of("2.05", "EUR")));
    }

    @Test
    void refusesToMix() {
        assertThrows(IllegalArgumentException.class, () -> Money.of("1", "EUR").plus(Money.of("1", "CHF")));
    }
}
