package com.example.ledger.web;

import com.example.ledger.core.LedgerException;
import com.example.ledger.core.LedgerService;
import com.example.ledger.core.Transfer;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;

public class TransferController {
    private final LedgerService ledger;

    public TransferController(LedgerService ledger) {
        this.ledger = ledger;
    }

    public Map<String, String> post(TransferDto dto, String key) {
        try {
            long cents = new BigDecimal(dto.getAmount()).movePointRight(2).longValueExact();
            Transfer transfer = new Transfer(
                    UUID.randomUUID().toString(), dto.getFrom(), dto.getTo(), cents, dto.getCurrency(),
                    dto.getMemo(), key, false, Instant.now());
            return Map.of("id", ledger.book(transfer, false));
        } catch (LedgerException problem) {
            return Map.of("code", problem.getCode(), "error", problem.getMessage());
        } catch (NumberFormatException | ArithmeticException problem) {
            return Map.of("code", "AMOUNT", "error", "not an amount");
        }
    }
}
