from orchestrator.campaign.last_load import ticks_after_last_load


def test_4_to_16_ticks_are_followed_and_each_save_has_a_draw_of_its_own() -> None:
    drawn = [ticks_after_last_load(1, "cell", f"save{number}") for number in range(400)]
    assert set(drawn) == set(range(4, 17))
    assert drawn[:20] != [ticks_after_last_load(2, "cell", f"save{n}") for n in range(20)]
    assert drawn[:20] != [ticks_after_last_load(1, "other", f"save{n}") for n in range(20)]
    assert drawn[:20] == [ticks_after_last_load(1, "cell", f"save{n}") for n in range(20)]
