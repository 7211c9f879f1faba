"""Long-term memory: what people and models said in earlier sessions of a project and will need again."""
