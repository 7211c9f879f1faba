package com.example.ledger;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.example.ledger.util.Iban;
import org.junit.jupiter.api.Test;

class IbanTest {
    @Test
    void knowsGoodOnes() {
        assertTrue(Iban.isValid("DE89 3704 0044 0532 0130 00"));
    }

    @Test
    void refusesBadOnes() {
        assertFalse(Iban.isValid("DE00 3704 0044 0532 0130 00"));
    }
}
